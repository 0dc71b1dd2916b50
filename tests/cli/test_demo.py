"""The page of a classifier: its answers, what it says of a file that is no picture, where it writes."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import HEADSTART
from PIL import Image

from headstart.classifier.saved import Classifier, load_classifier
from headstart.cli import demo, demo_answer
from headstart.cli.demo_examples import write_examples
from headstart.data.files.images import UnreadableImageError
from headstart.evaluation.gradcam import GradCam
from local_services import free_port

NEEDS_GRADIO = pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs the extra demo")


@pytest.fixture(scope="module")
def classifier(finished_run: Path) -> Classifier:
    return load_classifier(finished_run)


def test_an_answer_has_every_class_and_two_pictures(classifier: Classifier, folder: Path) -> None:
    file = folder / "green" / "000.png"
    confidences, familiar, picture, heat = demo_answer.classify_and_explain(
        classifier, GradCam(classifier.model), file.read_bytes()
    )
    assert "Looks like the training images" in familiar
    [(_, expected)] = classifier.predict([file])
    assert list(confidences) == list(classifier.class_names)
    np.testing.assert_allclose(list(confidences.values()), expected, atol=1e-6)
    assert picture.shape == heat.shape == (demo_answer.SIDE, demo_answer.SIDE, 3)
    assert picture.dtype == heat.dtype == np.uint8
    assert not np.array_equal(picture, heat)
    side = demo_answer.SIDE // classifier.image_size  # each pixel that the classifier sees is a square
    np.testing.assert_array_equal(picture[side // 2 :: side, side // 2 :: side], classifier.load(file))
    with pytest.raises(UnreadableImageError, match="10 bytes"):
        demo_answer.classify_and_explain(classifier, GradCam(classifier.model), b"no picture")


def test_the_card_names_run_data_and_accuracy(classifier: Classifier) -> None:
    card = demo_answer.card_html(replace(classifier, class_names=("<b>", "b", "c")))
    assert "Model: last_block linear s0 small_cnn" in card
    assert "3 classes (&lt;b&gt;, b, c) in images of 32 px" in card
    assert "test accuracy" in card
    assert "Unfamiliar: images unlike the training images, farther from them than all of the" in card


def test_an_unfamiliar_image_is_called_so(classifier: Classifier) -> None:
    yellow = io.BytesIO()
    Image.new("RGB", (24, 24), (255, 255, 0)).save(yellow, "PNG")
    _, familiar, *_ = demo_answer.classify_and_explain(classifier, GradCam(classifier.model), yellow.getvalue())
    assert "Unfamiliar image." in familiar
    unknown = replace(classifier, familiarity=None)
    _, familiar, *_ = demo_answer.classify_and_explain(unknown, GradCam(classifier.model), yellow.getvalue())
    assert familiar == ""


def test_examples_are_the_reference_images(classifier: Classifier, tmp_path: Path) -> None:
    assert classifier.directory is not None
    files = write_examples(classifier, tmp_path / "examples")
    with np.load(classifier.directory / "reference.npz") as reference:
        images = reference["images"]
    assert len(files) == len(images)
    for file, image in zip(files, images, strict=True):
        np.testing.assert_array_equal(classifier.load(file), image)


def test_without_gradio_the_extra_is_named(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert demo.main([str(finished_run)]) == 1
    assert "pip install 'headstart[demo]'" in capsys.readouterr().err.replace("\n", " ")


@NEEDS_GRADIO
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of Gradio's client
def test_the_page_answers_and_says_what_is_no_picture(
    finished_run: Path, classifier: Classifier, folder: Path, tmp_path: Path
) -> None:
    from gradio_client import Client, handle_file

    places = {name: tmp_path / name for name in ("work", "temporary")}
    for place in places.values():
        place.mkdir()
    port = free_port()
    command = [*HEADSTART, "demo", str(finished_run.absolute()), "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(places["temporary"]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=places["work"], env=environment, stdout=subprocess.PIPE, text=True) as page:
        try:
            assert page.stdout is not None
            assert page.stdout.readline().startswith("Model: last_block linear s0 small_cnn")
            link = next(line for line in page.stdout if line.startswith("http"))
            assert link.startswith(f"http://127.0.0.1:{port}")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}") as start:
                assert "fonts.googleapis.com" not in start.read().decode()
            client = Client(f"http://127.0.0.1:{port}", verbose=False, download_files=False)
            file = folder / "red" / "000.png"
            problem, label, familiar, picture, heat = client.predict(handle_file(str(file)), api_name="/classify")
            [(_, expected)] = classifier.predict([file])
            assert label["label"] == classifier.class_names[int(expected.argmax())]
            found = {row["label"]: row["confidence"] for row in label["confidences"]}
            assert found == pytest.approx(dict(zip(classifier.class_names, expected.tolist(), strict=True)), abs=1e-6)
            assert "Looks like the training images" in familiar
            assert picture is not None
            assert heat is not None
            assert problem["visible"] is False

            (tmp_path / "note.txt").write_text("no picture")
            problem, label, familiar, *pictures = client.predict(
                handle_file(str(tmp_path / "note.txt")), api_name="/classify"
            )
            assert "note.txt: its content is none of JPEG" in problem["value"]
            assert not label
            assert not familiar
            assert pictures == [None, None]
            client.close()
            assert list(places["temporary"].glob("headstart-demo-*/**/000.png"))

            # A second page cannot have the same port, and says so.
            again = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert again.returncode == 1
            assert "Expected a free address" in again.stderr
        finally:
            page.terminate()
            page.wait(60)
    assert not list(places["temporary"].glob("headstart-demo-*"))
    assert not list(places["work"].iterdir())
