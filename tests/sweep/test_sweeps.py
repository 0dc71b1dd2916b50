"""Whole sweeps through the real command line."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from conftest import write_pictures
from forked import Answer, ForkServer

ROOT = Path(__file__).parents[2]
TINY = ("backbone=small_cnn", "freeze=scratch", "epochs=1", "image_size=32", "dataset=folder", "audit=off")
LONGEST_WAIT = 900  # seconds, on a busy machine; more than a sweep gives an interrupted job to close its run


def command(outputs: Path, *arguments: str) -> list[str]:
    return [sys.executable, "run.py", "-m", *TINY, *arguments]


def sweep(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs)}
    return subprocess.run(
        command(outputs, *arguments), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def refused_sweep(fork_server: ForkServer, outputs: Path, *arguments: str) -> Answer:
    """Start a sweep that ends before it starts a job."""
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs)}
    return fork_server.run(command(outputs, *arguments)[1:], cwd=ROOT, env=environment)


def statuses(directory: Path) -> dict[str, str]:
    return {
        file.parent.name: json.loads(file.read_text())["status"] for file in sorted(directory.glob("*/results.json"))
    }


def stored(outputs: Path) -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    [experiment] = [one for one in client.search_experiments() if one.name == "headstart"]
    return client.search_runs([experiment.experiment_id])


@contextlib.contextmanager
def running_sweep(outputs: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a sweep, and end it whatever happens in between."""
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs)}
    with subprocess.Popen(
        command(outputs, *arguments), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(outputs: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not list(outputs.glob(pattern)):
        assert process.poll() is None, "the sweep ended early"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_gone(file: Path) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def with_a_broken_picture(directory: Path) -> Path:
    """Return pictures of which one can only be found broken while a job runs."""
    write_pictures(directory, {"cat": 12, "dog": 12}, seed=1)
    (directory / "cat" / "000.png").write_bytes(b"no picture")
    return directory


def tree(directory: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(directory.rglob("*")) if file.is_file()}


@dataclass
class Repeated:
    """A sweep of two jobs, one of which failed at first, and what was found after each time that it was given."""

    outputs: Path
    arguments: tuple[str, ...]
    images: Path  # of the job that did not fail
    answers: list[subprocess.CompletedProcess[str] | Answer]
    statuses: list[dict[str, str]]
    stored: list[list[Any]]
    trees: list[dict[str, bytes]]  # of the job that did not fail

    @property
    def directory(self) -> Path:
        return self.outputs / "sweeps" / "mine"

    def look(self, answer: subprocess.CompletedProcess[str] | Answer) -> None:
        self.answers.append(answer)
        self.statuses.append(statuses(self.directory))
        self.stored.append(stored(self.outputs))
        self.trees.append(tree(self.directory / "0"))


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    """Return the sweep after its first time."""
    outputs = tmp_path_factory.mktemp("repeated")
    whole, broken = write_pictures(outputs / "whole", {"cat": 12, "dog": 12}), with_a_broken_picture(outputs / "broken")
    arguments = (f"dataset.root={whole},{broken}", "sweep.name=mine", "dataset.split.test=0.25")
    found = Repeated(outputs, arguments, whole, [], [], [], [])
    found.look(sweep(outputs, *arguments))
    return found


@pytest.fixture(scope="module")
def repeated(failed: Repeated, fork_server: ForkServer) -> Repeated:
    """Return the sweep after its plan and the same command again."""
    write_pictures(failed.outputs / "broken", {"cat": 12, "dog": 12}, seed=1)  # what was broken is whole now
    failed.look(refused_sweep(fork_server, failed.outputs, *failed.arguments, "plan=true"))
    failed.look(sweep(failed.outputs, *failed.arguments))
    return failed


def check_best_job(parent: Any, best: Any) -> None:
    """Assert that the parent run has the accuracy of the best job, its link, and the table."""
    for name in ("val_accuracy", "test_accuracy", "test_accuracy_low", "test_accuracy_high"):
        assert parent.data.metrics[name] == best.data.metrics[name]
    assert parent.data.tags["best_run"] == best.info.run_id
    page = f"#/experiments/{best.info.experiment_id}/runs/{best.info.run_id}?workflowType=machine_learning"
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith(f"Best job by validation: [{best.info.run_name}]({page})")
    assert "| strategy |" in note


def test_a_failing_job_is_recorded(failed: Repeated) -> None:
    answer, runs = failed.answers[0], failed.stored[0]
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert answer.stderr == ""
    assert "2 jobs over dataset.root" in answer.stdout
    assert "Sweep mine: 1 finished, 1 failed" in answer.stdout
    assert "000.png" in answer.stdout
    assert failed.statuses[0] == {"0": "FINISHED", "1": "FAILED"}
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert parent.info.status == "FAILED"
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.data.tags["sweep"] for run in children} == {"mine"}
    [broken] = [run for run in children if run.info.status == "FAILED"]
    assert "000.png" in broken.data.tags["error"]
    check_best_job(parent, next(run for run in children if run is not broken))
    client = mlflow.MlflowClient(f"sqlite:///{failed.outputs}/mlflow.db")
    assert "error.txt" in [file.path for file in client.list_artifacts(broken.info.run_id)]


@pytest.mark.slow
def test_the_same_command_runs_only_what_failed(repeated: Repeated) -> None:
    _, plan, answer = repeated.answers
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "1 of 2 jobs are done." in plan.stdout
    assert repeated.statuses[1] == repeated.statuses[0]
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Sweep mine: 1 finished, 1 done before" in answer.stdout
    assert repeated.trees[0] == repeated.trees[1] == repeated.trees[2]
    assert set(repeated.statuses[2].values()) == {"FINISHED"}
    [parent] = [run for run in repeated.stored[2] if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_a_finished_sweep_is_left_as_it_is_while_its_images_are_away(
    repeated: Repeated, fork_server: ForkServer
) -> None:
    before = tree(repeated.directory)
    away = [(place, place.with_name(f"{place.name}_away")) for place in (repeated.images, repeated.outputs / "broken")]
    for place, elsewhere in away:
        place.rename(elsewhere)
    answer = refused_sweep(fork_server, repeated.outputs, *repeated.arguments)
    for place, elsewhere in away:
        elsewhere.rename(place)
    assert answer.returncode == 1
    assert answer.stderr.count(f"Received: {repeated.images} (does not exist)") == 1
    assert "the finished jobs are left as they are" in answer.stderr
    assert tree(repeated.directory) == before
    ends = [
        [(run.info.status, run.info.end_time) for run in runs]
        for runs in (stored(repeated.outputs), repeated.stored[2])
    ]
    assert ends[0] == ends[1]


@pytest.mark.slow
def test_an_image_that_breaks_later_loses_no_finished_job(repeated: Repeated) -> None:
    """Which only shows while the sweep runs, so that it is said at its end."""
    picture = repeated.images / "cat" / "000.png"
    content = picture.read_bytes()
    picture.write_bytes(b"no picture")
    answer = sweep(repeated.outputs, *repeated.arguments)
    assert answer.returncode == 1
    assert "1 done before, 1 kept without checking their images" in answer.stdout
    assert tree(repeated.directory / "0") == repeated.trees[0]
    picture.write_bytes(content)
    assert "2 done before" in sweep(repeated.outputs, *repeated.arguments).stdout


def test_a_sweep_with_a_job_that_cannot_run_is_refused_as_a_whole(tmp_path: Path, fork_server: ForkServer) -> None:
    answer = refused_sweep(fork_server, tmp_path, "dataset=digits", "head=linear,nothing", "seed=0,1")
    assert answer.returncode == 1
    assert answer.stdout == ""
    first, second = answer.stderr.splitlines()
    assert first == "error: 2 of the sweep's 4 jobs are invalid; no job was started"
    assert second.startswith("  head=nothing seed=0, head=nothing seed=1: unknown head 'nothing'; ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_on_error_stop_starts_no_other_job(binary_folder: Path, tmp_path: Path) -> None:
    broken = with_a_broken_picture(tmp_path / "broken")
    answer = sweep(tmp_path, f"dataset.root={broken},{binary_folder}", "on_error=stop")
    assert answer.returncode == 1
    assert "1 failed, 1 not started" in answer.stdout
    [directory] = (tmp_path / "sweeps").iterdir()
    assert list(statuses(directory).values()) == ["FAILED"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_killed_is_completed_by_the_same_command(
    binary_folder: Path, tmp_path: Path, number: int
) -> None:
    arguments = (f"dataset.root={binary_folder}", "seed=0,1,2", "epochs=100")
    with running_sweep(tmp_path, *arguments) as process:
        wait_for(tmp_path, "sweeps/*/1/running.json", process)
        process.send_signal(number)
        assert process.wait(LONGEST_WAIT) == (143 if number == signal.SIGTERM else -number)
    [directory] = (tmp_path / "sweeps").iterdir()
    wait_until_gone(directory / "1" / "running.json")  # the job closes its run by itself
    assert statuses(directory) == {"0": "FINISHED", "1": "KILLED"}
    assert sorted(run.info.status for run in stored(tmp_path) if "mlflow.parentRunId" in run.data.tags) == [
        "FINISHED",
        "KILLED",
    ]
    answer = sweep(tmp_path, *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "2 finished, 1 done before" in answer.stdout
    assert set(statuses(directory).values()) == {"FINISHED"}


@pytest.mark.slow
def test_folds_are_jobs(binary_folder: Path, tmp_path: Path) -> None:
    answer = sweep(tmp_path, f"dataset.root={binary_folder}", "cv.folds=3")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    [directory] = (tmp_path / "sweeps").iterdir()
    tested: Sequence[str] = [
        line.split(",")[0]
        for file in sorted(directory.glob("*/splits.csv"))
        for line in file.read_text().splitlines()
        if ",test," in line
    ]
    assert len(tested) == len(set(tested)) == 24


def test_folds_without_a_sweep_are_refused(binary_folder: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    arguments = ["run.py", *TINY, f"dataset.root={binary_folder}", "cv.folds=3"]
    answer = fork_server.run(arguments, cwd=ROOT, env=environment)
    assert answer.returncode == 1
    assert "headstart train -m cv.folds=3" in answer.stderr


@pytest.mark.slow
def test_a_running_sweep_is_not_started_twice(binary_folder: Path, tmp_path: Path) -> None:
    arguments = (f"dataset.root={binary_folder}", "seed=0,1", "epochs=500")
    with running_sweep(tmp_path, *arguments) as process:
        wait_for(tmp_path, "sweeps/*/0/running.json", process)
        answer = sweep(tmp_path, *arguments)
        assert answer.returncode == 1
        assert f"This sweep is in progress (process {process.pid} on " in answer.stderr


@pytest.mark.slow
def test_a_learning_curve_is_drawn_and_extrapolated(tmp_path: Path) -> None:
    images = write_pictures(tmp_path / "images", {"cat": 40, "dog": 40, "hen": 40})
    arguments = (
        f"dataset.root={images}",
        "sweep=learning_curve",
        "freeze=all",
        "head=logistic_regression",
        "audit=off",
    )
    answer = sweep(tmp_path / "outputs", *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    [directory] = (tmp_path / "outputs" / "sweeps").glob("learning_curve-*")
    assert list(statuses(directory).values()) == ["FINISHED"] * 12
    assert (directory / "comparison" / "learning_curve.png").is_file()
    page = (directory / "comparison" / "comparison.html").read_text(encoding="utf-8")
    assert "With twice the images (144), expect " in page or "No extrapolation: " in page
    used = {
        (config["dataset"]["fraction"], config["seed"]): train_images(file.parent)
        for file in directory.glob("*/results.json")
        for config in [yaml.safe_load((file.parent / "config.yaml").read_text(encoding="utf-8"))]
    }
    for seed in (0, 1, 2):
        assert used[0.1, seed] < used[0.25, seed] < used[0.5, seed] < used[1.0, seed]
    assert used[0.25, 0] != used[0.25, 1]


def train_images(directory: Path) -> set[str]:
    with (directory / "splits.csv").open(encoding="utf-8", newline="") as table:
        return {row["path"] for row in csv.DictReader(table) if row["split"] == "train"}
