"""The finished and interrupted jobs of a sweep, and the directories that jobs may write to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import TINY, write_pictures

from headstart.config import Config, compose
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.process_lock import Process
from headstart.results.runs import CHECKPOINT, RUNNING
from headstart.run.resume import LOCK, exclusive_run_directory
from headstart.sweep.results import (
    find_finished,
    find_job_directory,
    free_directory,
    is_free,
    mark_interrupted,
    write_failure,
)
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


def test_jobs_of_the_first_version_are_done_or_resumed(
    finished_run: Path, sweep: Path, folder: Path, tmp_path: Path
) -> None:
    results = json.loads((sweep / "0" / "results.json").read_text())
    del results["schema_version"]
    first = {**results, "config_hash": "e0ddb08ba919029c"}  # a digest of another kind
    killed = tmp_path / "killed" / "0"
    killed.mkdir(parents=True)
    (killed / CHECKPOINT).write_bytes(b"")
    for directory, status in ((sweep / "0", "FINISHED"), (killed, "KILLED")):
        (directory / "results.json").write_text(json.dumps({**first, "status": status}))
        shutil.copy(finished_run / "config.yaml", directory)
    assert find_job_directory(sweep, sweep / "0", tiny(folder)).state == "done"
    assert find_job_directory(sweep, sweep / "1", tiny(folder, "seed=1")).state == "free"
    interrupted = find_job_directory(killed.parent, killed, tiny(folder))
    assert (interrupted.state, interrupted.directory, interrupted.resume) == ("free", killed, True)


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


def test_a_failed_job_is_not_done_and_its_directory_is_free(sweep: Path, folder: Path) -> None:
    change(sweep / "0", status="FAILED")
    assert find_finished(sweep, tiny(folder)) is None
    assert free_directory(sweep / "0", tiny(folder)) == sweep / "0"


def test_no_job_writes_over_results_of_another_one(sweep: Path, folder: Path) -> None:
    first = free_directory(sweep / "0", tiny(folder, "seed=1"))
    assert first.parent == sweep
    assert first != sweep / "0"
    first.mkdir()
    (first / "results.json").write_text(
        json.dumps({"status": "FAILED", "config_hash": config_hash(tiny(folder, "seed=1"))})
    )
    assert free_directory(sweep / "0", tiny(folder, "seed=1")) == first  # the same one when it is run again
    assert free_directory(sweep / "0", tiny(folder, "seed=2")) != first
    assert free_directory(sweep / "1", tiny(folder, "seed=1")) == sweep / "1"


def test_interrupted_runs_are_marked_on_disk_and_in_the_store(sweep: Path, tmp_path: Path) -> None:
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
    assert stored.data.tags["error"] == results["error"] == "The process of this run was killed."
    assert mark_interrupted(sweep) == []


def tree(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes of every file below a directory, and when it was written."""
    files = (file for file in sorted(directory.rglob("*")) if file.is_file())
    return {str(file.relative_to(directory)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def own_images(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "images"))


@pytest.fixture
def done(sweep: Path, own_images: Path) -> Config:
    """Return the configuration of the sweep's finished job, on images that a test may move."""
    config = tiny(own_images)
    dataset = json.loads((sweep / "0" / "results.json").read_text())["dataset"]
    change(sweep / "0", config_hash=config_hash(config), dataset={**dataset, "root": str(own_images)})
    return config


def unmount(images: Path) -> None:
    images.rename(images.with_name("elsewhere"))


def unmount_and_leave_the_mount_point(images: Path) -> None:
    unmount(images)
    images.mkdir()


def damage(images: Path) -> None:
    (images / "red" / "003.png").write_bytes(b"no picture")


@pytest.mark.parametrize("lose", [unmount, unmount_and_leave_the_mount_point, damage])
def test_a_finished_job_without_its_images_is_left_as_it_is(
    lose: Callable[[Path], None], sweep: Path, done: Config, own_images: Path
) -> None:
    assert find_job_directory(sweep, sweep / "0", done).state == "done"
    lose(own_images)
    before = tree(sweep)
    for preferred in (sweep / "0", sweep / "7"):
        place = find_job_directory(sweep, preferred, done)
        assert (place.state, place.directory) == ("kept", sweep / "0")
        assert str(own_images) in place.reason
    assert tree(sweep) == before


def test_other_images_get_a_directory_of_their_own(sweep: Path, done: Config, own_images: Path) -> None:
    (own_images / "red" / "003.png").unlink()
    place = find_job_directory(sweep, sweep / "0", done)
    assert (place.state, place.resume) == ("free", False)
    assert place.directory != sweep / "0"


@pytest.mark.parametrize("content", [b"", b'{"status": "FINI', b"[]", b"\xff"])
def test_unreadable_results_are_not_overwritten(content: bytes, sweep: Path, folder: Path) -> None:
    (sweep / "0" / "results.json").write_bytes(content)
    place = find_job_directory(sweep, sweep / "0", tiny(folder))
    assert place.state == "free"
    assert place.directory != sweep / "0"


def test_a_failure_does_not_overwrite_a_finished_job(sweep: Path) -> None:
    before = tree(sweep)
    with pytest.raises(HeadstartError, match="Expected a directory without a finished run"):
        write_failure(sweep / "0", "no images", [])
    with (
        pytest.raises(HeadstartError, match="Expected a directory without a finished run"),
        exclusive_run_directory(sweep / "0", resume=True),
    ):
        pass
    assert tree(sweep) == before
    assert not is_free(sweep / "0", None)  # where not even the configuration is known


def test_an_interrupted_job_without_its_images_keeps_its_training(sweep: Path, done: Config, own_images: Path) -> None:
    change(sweep / "0", status="KILLED")
    (sweep / "0" / CHECKPOINT).touch()
    assert find_job_directory(sweep, sweep / "0", done).resume
    unmount(own_images)
    assert find_job_directory(sweep, sweep / "0", done).state == "kept"


def test_a_job_killed_after_its_results_stays_finished(sweep: Path) -> None:
    before = tree(sweep)
    (sweep / "0" / RUNNING).write_text((sweep / "0" / "results.json").read_text())
    mark_interrupted(sweep)
    assert tree(sweep) == before


@pytest.mark.parametrize("process", [Process.current(), replace(Process.current(), host="node7", machine="node7")])
def test_a_job_in_progress_is_left_alone(process: Process, sweep: Path, folder: Path) -> None:
    """Though the process that launched it is gone: on this machine, or on another one that shares the disk."""
    config = tiny(folder, "seed=3")
    (sweep / "3").mkdir()
    (sweep / "3" / RUNNING).write_text(json.dumps({"run_id": "abc", "config_hash": config_hash(config)}))
    (sweep / "3" / LOCK).write_text(json.dumps({"token": "mine", **asdict(process)}))
    before = tree(sweep)
    assert mark_interrupted(sweep) == []
    for preferred in (sweep / "3", sweep / "8"):
        place = find_job_directory(sweep, preferred, config)
        assert (place.state, place.directory) == ("in progress", sweep / "3")
        assert f"process {process.number} on {process.host}" in place.reason
    other = find_job_directory(sweep, sweep / "3", tiny(folder, "seed=4"))
    assert other.state == "free"
    assert other.directory != sweep / "3"
    assert tree(sweep) == before


def change(directory: Path, **values: Any) -> None:
    results = json.loads((directory / "results.json").read_text())
    (directory / "results.json").write_text(json.dumps({**results, **values}))
