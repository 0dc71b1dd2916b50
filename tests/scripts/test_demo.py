"""The page of a classifier: its answers, what it says of a file that is no picture, where it writes."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import demo
from headstart.artifact import Classifier, load_classifier
from headstart.data.images import UnreadableImageError
from headstart.evaluation.gradcam import GradCam

NEEDS_GRADIO = pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs the extra demo")


@pytest.fixture(scope="module")
def classifier(finished_run: Path) -> Classifier:
    return load_classifier(finished_run)


def test_an_answer_has_every_class_and_two_pictures(classifier: Classifier, folder: Path) -> None:
    file = folder / "green" / "000.png"
    confidences, picture, heat = demo.answer(classifier, GradCam(classifier.model), file.read_bytes())
    [(_, expected)] = classifier.predict([file])
    assert list(confidences) == list(classifier.class_names)
    np.testing.assert_allclose(list(confidences.values()), expected, atol=1e-6)
    assert picture.shape == heat.shape == (demo.SIDE, demo.SIDE, 3)
    assert picture.dtype == heat.dtype == np.uint8
    assert not np.array_equal(picture, heat)
    with pytest.raises(UnreadableImageError, match="10 bytes"):
        demo.answer(classifier, GradCam(classifier.model), b"no picture")


def test_without_gradio_the_extra_is_named(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert demo.main([str(finished_run)]) == 1
    assert "pip install 'headstart[demo]'" in capsys.readouterr().out.replace("\n", " ")


@pytest.fixture(scope="module")
def address(classifier: Classifier) -> Iterator[str]:
    """Show the page on a free port, writing into a directory of its own."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as directory:
        demo.leave_nothing_behind(Path(directory))
        page = demo.make_page(classifier)
        try:
            demo.launch(page, "127.0.0.1", None, prevent_thread_lock=True)
            yield page.local_url
        finally:
            page.close()
            os.environ.clear()
            os.environ.update(before)


@NEEDS_GRADIO
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Gradio's and its dependencies'
def test_the_page_answers_and_says_what_is_no_picture(
    address: str, classifier: Classifier, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradio_client import Client, handle_file

    monkeypatch.chdir(tmp_path)
    client = Client(address, verbose=False, download_files=False)
    file = folder / "red" / "000.png"
    said, label, picture, heat = client.predict(handle_file(str(file)), api_name="/classify")
    [(_, expected)] = classifier.predict([file])
    best = int(expected.argmax())
    assert label["label"] == classifier.class_names[best]
    found = {row["label"]: row["confidence"] for row in label["confidences"]}
    assert found == pytest.approx(dict(zip(classifier.class_names, expected.tolist(), strict=True)), abs=1e-6)
    assert picture is not None
    assert heat is not None
    assert said["visible"] is False

    (tmp_path / "note.txt").write_text("no picture")
    said, *others = client.predict(handle_file(str(tmp_path / "note.txt")), api_name="/classify")
    assert "note.txt (its content is none of JPEG" in said["value"]
    assert others == [None, None, None]
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]  # nothing was written beside it


@NEEDS_GRADIO
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_page_asks_nobody_else(address: str) -> None:
    with urllib.request.urlopen(address) as page:
        text = page.read().decode()
    assert "fonts.googleapis.com" not in text
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert "gradio" in sys.modules
