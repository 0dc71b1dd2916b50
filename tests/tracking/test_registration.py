"""The model registry: each run is a version, and the alias moves only to one that is better beyond chance."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.config import TrackingConfig
from headstart.core.errors import HeadstartError
from headstart.results.sections import Registration
from headstart.tracking import check_store, expect_registered_name, tracked_run
from headstart.tracking.datasets import LoggedDataset
from headstart.tracking.journal import tracking_record
from headstart.tracking.registration import compare

IMAGES = 40


@pytest.fixture
def client(outputs: Path) -> Any:
    import mlflow

    uri = f"sqlite:///{outputs / 'mlflow.db'}"
    check_store(uri, "registry")
    return mlflow.MlflowClient(uri)


def registered(client: Any, name: str, output: Path, right: int, images: str = "same") -> Registration:
    """Log a run that has labelled some of the validation images right, and return what the registry made of it."""
    with tracked_run(client.tracking_uri, "registry", f"{right} right", {}, output) as tracker:
        (output / "classifier").mkdir()
        with (output / "predictions.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "split", "label", "predicted", "correct"))
            writer.writerows((f"{number}.png", "validation", "a", "a", int(number < right)) for number in range(IMAGES))
            writer.writerow(("of the test.png", "test", "a", "b", 0))
        tracker.log_files([output / "predictions.csv"])
        tracker.log_datasets(
            [LoggedDataset("data", "validation", images * 8, "/data", {"a": IMAGES})] if images else []
        )
        tracker.log_metrics({"val_accuracy": right / IMAGES})
        tracker.log_classifier(output / "classifier", register=name)
    found = tracking_record(output).tracking.registration
    assert found is not None
    assert found.version == int(client.search_model_versions(f"run_id='{tracker.run_id}'")[0].version)
    return found


def champion(client: Any, name: str) -> int:
    return int(client.get_model_version_by_alias(name, "champion").version)


def test_the_champion_moves_only_to_a_better_version(client: Any, tmp_path: Path, capsys: Any) -> None:
    first = registered(client, "birds", tmp_path / "1", right=20)
    assert (first.version, first.champion, champion(client, "birds")) == (1, True, 1)
    slightly = registered(client, "birds", tmp_path / "2", right=22)
    assert (slightly.version, slightly.champion, champion(client, "birds")) == (2, False, 1)
    assert slightly.reason == (
        "version 1 stays champion: validation accuracy from 50.0 to 55.0 %, p = 0.5, which may be chance"
    )
    better = registered(client, "birds", tmp_path / "3", right=35)
    assert (better.version, better.champion, champion(client, "birds")) == (3, True, 3)
    assert better.reason.startswith("validation accuracy from 50.0 to 87.5 %, p = ")
    worse = registered(client, "birds", tmp_path / "4", right=30)
    assert (worse.champion, champion(client, "birds")) == (False, 3)
    described = client.get_model_version("birds", "2").description
    assert described == f"22 right: val accuracy 55.0 %. {slightly.reason.capitalize()}."
    said = " ".join(capsys.readouterr().out.split())
    assert f"Registered as birds version 2; {slightly.reason}" in said
    assert f"Registered as birds version 3, which is champion: {better.reason}" in said
    model = client.get_logged_model(tracking_record(tmp_path / "3").tracking.model_id)
    [linked] = json.loads(model.tags["mlflow.modelVersions"])
    assert (linked["name"], int(linked["version"])) == ("birds", 3)


@pytest.mark.parametrize("images", ["others", ""])  # without data sets, as runs of earlier versions
def test_the_champion_stays_where_no_test_is_possible(client: Any, tmp_path: Path, images: str) -> None:
    name = f"champion of {images or 'none'}"
    registered(client, name, tmp_path / "1", right=10, images=images)
    found = registered(client, name, tmp_path / "2", right=40)
    assert (found.champion, champion(client, name)) == (False, 1)
    assert "validated on other images, which no paired test can compare" in found.reason


def test_the_champion_stays_if_its_predictions_are_gone(client: Any, tmp_path: Path) -> None:
    registered(client, "lost", tmp_path / "1", right=10)
    before = tracking_record(tmp_path / "1").run_id
    place = Path(client.get_run(before).info.artifact_uri.removeprefix("file://"))
    (place / "predictions.csv").unlink()
    found = registered(client, "lost", tmp_path / "2", right=40)
    assert (found.champion, champion(client, "lost")) == (False, 1)
    assert found.reason.startswith("version 1 stays champion: its predictions cannot be read")


def test_equal_classifiers_are_no_reason_to_move() -> None:
    right = np.arange(100) < 90
    assert not compare(right, right).better
    assert not compare(right, ~right).better
    assert compare(~right, right).better


def test_a_name_that_the_registry_refuses_is_said_at_once() -> None:
    expect_registered_name(TrackingConfig("local", register="birds of Europe"))
    expect_registered_name(TrackingConfig("local"))
    for name in ("birds/owls", "birds:1", " "):
        with pytest.raises(HeadstartError, match=r"Expected tracking\.register to be a name without / and :"):
            expect_registered_name(TrackingConfig("local", register=name))
