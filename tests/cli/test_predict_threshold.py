"""`headstart predict --threshold`: another threshold between two classes than 0.5, and what refuses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from headstart.classifier.description import read_description, store_threshold
from headstart.classifier.saved import load_classifier, save_classifier
from headstart.cli import predict
from headstart.config import compose
from headstart.model.network import build_network
from headstart.results.file import read_results
from headstart.run.experiment import run


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """Return an untrained classifier of two classes."""
    config = compose([*TINY, "head.output=sigmoid"])
    network = build_network(config.backbone, config.head, 2, 32, seed=0)
    reference = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    save_classifier(tmp_path / "classifier", network.classifier, ("cat", "dog"), 32, config, reference)
    return tmp_path / "classifier"


def rows(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict], str]:
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def test_the_threshold_decides_the_label_and_keeps_its_probability(
    classifier: Path, binary_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [str(binary_folder / name / "000.png") for name in ("cat", "dog")]
    loaded = load_classifier(classifier)
    dog = loaded.probabilities(np.stack([loaded.load(Path(picture)) for picture in pictures]))[:, 1]
    middle = float(dog.mean())
    assert predict.main([str(classifier), *pictures, "--format", "json", "--threshold", str(middle)]) == 0
    found, note = rows(capsys)
    assert [row["label"] for row in found] == ["dog" if value > middle else "cat" for value in dog]
    assert {row["label"] for row in found} == {"cat", "dog"}  # though both have the same likelier class
    for row, value in zip(found, dog, strict=True):
        assert row["confidence"] == pytest.approx(value if row["label"] == "dog" else 1 - value, abs=1e-5)
        assert [best["label"] for best in row["top"]] == [row["label"], "cat" if row["label"] == "dog" else "dog"]
    assert f"threshold {middle:.4g}: dog if its probability is above, otherwise cat" in " ".join(note.split())


def test_the_advised_threshold_is_the_stored_one(
    classifier: Path, binary_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(classifier), str(binary_folder), "--format", "json", "--threshold"]
    assert predict.main([*arguments, "advised"]) == 1
    assert "an earlier version of headstart saved it; give a number" in " ".join(capsys.readouterr().err.split())
    store_threshold(classifier, 0.001)
    assert predict.main([*arguments, "advised"]) == 0
    assert {row["label"] for row in rows(capsys)[0]} == {"dog"}
    assert predict.main([*arguments, "0.999"]) == 0
    assert {row["label"] for row in rows(capsys)[0]} == {"cat"}


@pytest.mark.slow
def test_explanations_are_of_the_label_that_the_threshold_gives(
    classifier: Path, binary_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.cli import predict_pictures

    explained: list[int] = []

    class Recorder(predict_pictures.GradCam):
        def heat_maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
            explained.extend(classes)
            return super().heat_maps(images, classes)

    monkeypatch.setattr(predict_pictures, "GradCam", Recorder)
    picture = str(binary_folder / "cat" / "000.png")
    for threshold in ("0.001", "0.999"):
        assert predict.main([str(classifier), picture, "--explain", str(tmp_path), "--threshold", threshold]) == 0
    assert explained == [1, 0]


def test_more_than_two_classes_have_no_threshold(
    finished_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main([str(finished_run), str(folder), "--threshold", "0.4"]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "Expected a classifier of two classes for --threshold. Received: 3 classes; leave it out" in error
    results = read_results(finished_run)
    assert results is not None
    assert results.threshold is None


@pytest.mark.parametrize("value", ["0", "1", "50", "nan", "half"])
def test_other_values_are_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict.main(["latest", "a.png", "--threshold", value])
    assert stopped.value.code == 2
    assert f"expected a number over 0 and below 1, or advised, not {value}" in capsys.readouterr().err


def test_a_run_of_two_classes_stores_the_threshold_with_its_classifier(binary_folder: Path, tmp_path: Path) -> None:
    run(compose([*TINY, f"dataset.root={binary_folder}", "freeze=all", "epochs=1"]), tmp_path)
    results = read_results(tmp_path)
    assert results is not None
    assert results.threshold is not None
    assert results.splits
    assert results.threshold.second_class == "dog"
    assert read_description(tmp_path / "classifier").threshold == results.threshold.threshold
    assert load_classifier(tmp_path).threshold == results.threshold.threshold
    for split, figures in results.threshold.at_half.items():
        assert figures.accuracy == results.splits[split].accuracy
        assert figures.balanced_accuracy == pytest.approx(results.splits[split].balanced_accuracy)
