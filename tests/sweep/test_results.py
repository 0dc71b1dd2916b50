"""What a sweep finds of its jobs: those that are done, those that were interrupted, where the next one may write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import TINY, write_pictures

from headstart.config import Config, compose
from headstart.identity import config_hash
from headstart.runs import RUNNING
from headstart.sweep.results import find_finished, free_directory, mark_interrupted
from headstart.tracking import begin_run


def tiny(root: Path, *more: str) -> Config:
    return compose([*TINY, f"dataset.root={root}", "freeze=last_block", "epochs=2", *more])


@pytest.fixture
def sweep(finished_run: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "sweep"
    (directory / "0").mkdir(parents=True)
    shutil.copy(finished_run / "results.json", directory / "0")
    return directory


def test_the_same_configuration_on_the_same_images_is_done(sweep: Path, folder: Path) -> None:
    found = find_finished(sweep, tiny(folder, "tracking.experiment=another", "plan=true"))
    assert found is not None
    assert found[0] == sweep / "0"


@pytest.mark.parametrize("change", ["seed=1", "head=dense512", "freeze.stages.0.epochs=3", "dataset.fraction=0.5"])
def test_another_configuration_is_not_done(sweep: Path, folder: Path, change: str) -> None:
    config = tiny(folder, *([change] if "epochs" not in change else ["epochs=3"]))
    assert find_finished(sweep, config) is None


def test_other_images_at_the_same_place_are_not_done(sweep: Path, folder: Path, tmp_path: Path) -> None:
    results = json.loads((sweep / "0" / "results.json").read_text())
    place = write_pictures(tmp_path / "pictures", {"red": 10, "green": 10, "blue": 10}, seed=1)
    config = tiny(folder)
    config.dataset.root = str(place)
    results["config_hash"] = config_hash(config)  # as if these images had lain there
    (sweep / "0" / "results.json").write_text(json.dumps(results))
    assert find_finished(sweep, config) is None


def test_what_failed_is_not_done_and_its_directory_is_free(sweep: Path, folder: Path) -> None:
    change(sweep / "0", status="FAILED")
    assert find_finished(sweep, tiny(folder)) is None
    assert free_directory(sweep / "0", config_hash(tiny(folder))) == sweep / "0"


def test_no_job_writes_where_results_of_another_one_are(sweep: Path, folder: Path) -> None:
    first = free_directory(sweep / "0", config_hash(tiny(folder, "seed=1")))
    assert first.parent == sweep
    assert first != sweep / "0"
    first.mkdir()
    (first / "results.json").write_text(
        json.dumps({"status": "FAILED", "config_hash": config_hash(tiny(folder, "seed=1"))})
    )
    assert (
        free_directory(sweep / "0", config_hash(tiny(folder, "seed=1"))) == first
    )  # the same one when it is run again
    assert free_directory(sweep / "0", config_hash(tiny(folder, "seed=2"))) != first
    assert free_directory(sweep / "1", config_hash(tiny(folder, "seed=1"))) == sweep / "1"


def test_interrupted_runs_are_marked_here_and_in_the_store(sweep: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/store.db"
    (sweep / "1").mkdir()
    run = begin_run(uri, "headstart", "interrupted", {}, sweep / "1")
    run.close()
    (sweep / "1" / RUNNING).write_text(json.dumps({"run_id": run.run_id, "tracking_uri": uri, "seed": 3}))
    assert mark_interrupted(sweep) == [sweep / "1"]
    results = json.loads((sweep / "1" / "results.json").read_text())
    assert results["status"] == "KILLED"
    assert results["seed"] == 3
    assert not (sweep / "1" / RUNNING).exists()
    stored = mlflow.MlflowClient(uri).get_run(run.run_id)
    assert stored.info.status == "KILLED"
    assert stored.data.tags["error"] == results["error"] == "The process that ran it was killed."
    assert mark_interrupted(sweep) == []


def change(directory: Path, **values: Any) -> None:
    results = json.loads((directory / "results.json").read_text())
    (directory / "results.json").write_text(json.dumps({**results, **values}))
