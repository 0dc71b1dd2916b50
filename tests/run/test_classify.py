"""A pretrained network as it is, from pictures without labels to what a run leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import write_pictures
from run_files import rows_of

from headstart.classifier.saved import load_classifier
from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.data.files.images import load_image
from headstart.evaluation.labels import SHOWN, TOP, report_labels
from headstart.model.heads import best_labels
from headstart.model.imagenet import imagenet_classes
from headstart.run.experiment import run

CLASSIFY = ("experiment=classify", "backbone.weights=none", "image_size=32")


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return more pictures than are shown, in folders that are no classes, one with an odd name."""
    album = write_pictures(tmp_path_factory.mktemp("album"), {"spring": SHOWN - 5, "[red] Käfer": 10})
    (album / "spring" / "000.png").rename(album / "a | b.png")
    return album


@pytest.fixture(scope="module")
def output(album: Path, outputs: Path) -> Path:
    directory = outputs / "runs" / "classified"
    directory.mkdir(parents=True)
    run(compose([*CLASSIFY, f"dataset.root={album}"]), directory)
    return directory


@pytest.fixture(scope="module")
def results(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text(encoding="utf-8"))


def test_results_say_what_was_labelled_and_claim_no_accuracy(results: dict[str, Any], album: Path) -> None:
    assert results["status"] == "FINISHED"
    assert results["recipe"]["name"] == "classify"
    assert results["splits"] == {}
    assert "best_epoch" not in results
    assert "accuracy" not in json.dumps(results)
    assert results["parameters"]["trainable"] == 0
    pictures = results["pictures"]
    assert pictures["images"] == sum(pictures["labels"].values()) == SHOWN + 5
    assert len(pictures["first"]) == SHOWN
    assert set(pictures["labels"]) <= set(imagenet_classes())
    assert 0 < pictures["mean_confidence"] < 1


def test_predictions_are_those_of_the_saved_network(results: dict[str, Any], output: Path, album: Path) -> None:
    rows = rows_of(output / "predictions.csv")
    assert {row["path"] for row in rows} == {str(file.relative_to(album)) for file in album.rglob("*.png")}
    # Plain Keras, without headstart.
    model = keras.models.load_model(output / "classifier" / "model.keras", safe_mode=True)
    images = np.stack([load_image(album / row["path"], 32, "crop") for row in rows]).astype("float32")
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (len(rows), 1000)
    for row, found in zip(rows, probabilities, strict=True):
        # Random weights: what is nearly as likely may change places.
        assert float(row["confidence"]) == pytest.approx(found.max(), abs=1e-5)
        named = found[imagenet_classes().index(row["predicted"])]
        assert named == pytest.approx(found.max(), abs=1e-5)
        values = [float(row[f"confidence_{number}"]) for number in range(2, TOP + 1)]
        assert values == sorted(values, reverse=True)
    for row, first in zip(rows, results["pictures"]["first"], strict=False):
        assert (row["path"], row["predicted"]) == (first["path"], first["label"])
        assert [best["label"] for best in first["top"]][1] == row["predicted_2"]


def test_the_saved_network_is_verified_and_described(output: Path) -> None:
    classifier = load_classifier(output)
    assert classifier.class_names == imagenet_classes()
    assert (classifier.image_size, classifier.resize) == (32, "crop")
    assert (output / "figures" / "labels.png").stat().st_size > 10_000


def test_the_run_is_tracked_with_its_model(results: dict[str, Any]) -> None:
    import mlflow

    client = mlflow.MlflowClient(results["tracking_uri"])
    tracked = client.get_run(results["run_id"])
    assert tracked.info.status == "FINISHED"
    assert tracked.data.metrics["images"] == SHOWN + 5
    assert not [name for name in tracked.data.metrics if "accuracy" in name]
    assert "| image | label |" in tracked.data.tags["mlflow.note.content"]
    assert r"a \| b.png" in tracked.data.tags["mlflow.note.content"]
    names = {file.path for file in client.list_artifacts(results["run_id"])}
    assert {"config.yaml", "predictions.csv", "figures"} <= names
    assert client.search_logged_models(experiment_ids=[results["experiment_id"]])


@pytest.mark.slow
def test_an_unreadable_image_can_be_skipped(tmp_path: Path) -> None:
    album = write_pictures(tmp_path / "album", {"spring": 2})
    (album / "broken.jpg").write_text("no picture")
    output = tmp_path / "run"
    output.mkdir()
    with pytest.raises(HeadstartError, match=r"broken\.jpg .*dataset\.bad_images=skip"):
        run(compose([*CLASSIFY, f"dataset.root={album}"]), output)
    results = run(compose([*CLASSIFY, f"dataset.root={album}", "dataset.bad_images=skip"]), output)
    assert results.pictures is not None
    assert results.pictures.images == 2


@pytest.mark.slow
def test_the_command_ends_well_and_shows_the_labels(album: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "[bold] 1.png").write_bytes((album / "a | b.png").read_bytes())
    command = [sys.executable, conf_directory().parent / "run.py", *CLASSIFY, f"dataset.root={tmp_path / 'one'}"]
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path / "outputs"), "COLUMNS": "100"}
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "1 unlabelled image" in answer.stdout
    assert "[bold] 1.png" in answer.stdout
    assert "Stage" not in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["head.output=imagenet", "dataset=folder"], "Expected dataset=unlabelled for head.output=imagenet"),
        (["dataset=unlabelled"], "Expected head=imagenet for images"),
        (["dataset=unlabelled", "head=imagenet", "backbone=small_cnn"], "Received: small_cnn"),
    ],
)
def test_a_mistake_is_said_before_any_work(overrides: list[str], says: str, album: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=says):
        run(compose([*overrides, f"dataset.root={album}"]), tmp_path)
    assert not (tmp_path / "splits.csv").exists()  # not even the pictures were looked at


def test_best_labels_are_sorted_and_no_more_than_there_are() -> None:
    found = best_labels(np.array([0.2, 0.7, 0.1], np.float32), ("a", "b", "c"), 5)
    assert [best["label"] for best in found] == ["b", "a", "c"]
    assert [best["confidence"] for best in found] == pytest.approx([0.7, 0.2, 0.1])
    assert len(best_labels(np.array([0.2, 0.8]), ("a", "b"), 1)) == 1


@pytest.mark.slow
def test_names_without_a_font_and_long_ones_stay_in_the_figure(output: Path, tmp_path: Path) -> None:
    from headstart.data.sources.unlabelled import index_unlabelled

    album = write_pictures(tmp_path / "album", {"x": 2})
    (album / "x" / "000.png").rename(album / ("猫" * 40 + ".png"))
    found = report_labels(load_classifier(output), index_unlabelled(album), 1, "title", tmp_path)
    assert found.images == 2
    assert (tmp_path / "figures" / "labels.png").exists()
