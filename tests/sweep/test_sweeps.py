"""Whole sweeps through the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import write_pictures

ROOT = Path(__file__).parents[2]
TINY = ("backbone=small_cnn", "freeze=scratch", "epochs=1", "image_size=32", "dataset=folder")


def command(outputs: Path, *arguments: str) -> list[str]:
    return [sys.executable, "run.py", "-m", *TINY, *arguments]


def sweep(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs)}
    return subprocess.run(
        command(outputs, *arguments), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def statuses(directory: Path) -> dict[str, str]:
    return {
        file.parent.name: json.loads(file.read_text())["status"] for file in sorted(directory.glob("*/results.json"))
    }


def stored(outputs: Path) -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{outputs}/mlflow.db")
    [experiment] = [one for one in client.search_experiments() if one.name == "headstart"]
    return client.search_runs([experiment.experiment_id])


def wait_for(outputs: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list(outputs.glob(pattern)):
        assert process.poll() is None, "the sweep ended early"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_failing_job_is_recorded_and_alone_is_run_again(binary_folder: Path, tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    arguments = (f"dataset.root={binary_folder},{lost}", "seed=0,1", "sweep.name=mine", "dataset.split.test=0.25")
    answer = sweep(tmp_path, *arguments)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert answer.stderr == ""
    assert "4 jobs over dataset.root, seed" in answer.stdout
    assert "Sweep mine: 2 finished, 2 failed" in answer.stdout
    assert f"Received: {lost} (does not exist)" in " ".join(answer.stdout.split())
    directory = tmp_path / "sweeps" / "mine"
    assert statuses(directory) == {"0": "FINISHED", "1": "FINISHED", "2": "FAILED", "3": "FAILED"}

    runs = stored(tmp_path)
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert parent.info.status == "FAILED"
    assert sorted(run.info.status for run in children) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.data.tags["sweep"] for run in children} == {"mine"}
    for run in children:
        if run.info.status == "FAILED":
            assert run.data.tags["error"].startswith("Expected dataset.root to be the directory of the images")
            assert "error.txt" in [
                file.path
                for file in mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").list_artifacts(run.info.run_id)
            ]

    write_pictures(lost, {"cat": 12, "dog": 12}, seed=1)  # what was missing is there now
    written = (directory / "0" / "results.json").stat().st_mtime_ns
    plan = sweep(tmp_path, *arguments, "plan=true")
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "2 of 4 jobs are done." in plan.stdout
    answer = sweep(tmp_path, *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Sweep mine: 2 finished, 2 done before" in answer.stdout
    assert (directory / "0" / "results.json").stat().st_mtime_ns == written
    assert set(statuses(directory).values()) == {"FINISHED"}
    [parent] = [run for run in stored(tmp_path) if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"


@pytest.mark.slow
def test_on_error_stop_starts_no_other_job(binary_folder: Path, tmp_path: Path) -> None:
    answer = sweep(tmp_path, f"dataset.root={tmp_path / 'lost'},{binary_folder}", "on_error=stop")
    assert answer.returncode == 1
    assert "1 failed, 1 not started" in answer.stdout
    [directory] = (tmp_path / "sweeps").iterdir()
    assert list(statuses(directory).values()) == ["FAILED"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_killed_is_completed_by_the_same_command(
    binary_folder: Path, tmp_path: Path, number: int
) -> None:
    arguments = (f"dataset.root={binary_folder}", "seed=0,1,2", "epochs=200")
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    process = subprocess.Popen(
        command(tmp_path, *arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    wait_for(tmp_path, "sweeps/*/1/running.json", process)
    process.send_signal(number)
    assert process.wait(60) == (143 if number == signal.SIGTERM else -number)
    assert process.stdout is not None
    process.stdout.close()
    [directory] = (tmp_path / "sweeps").iterdir()
    deadline = time.monotonic() + 60
    while (directory / "1" / "running.json").exists():  # the job closes its run by itself
        assert time.monotonic() < deadline
        time.sleep(0.1)
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


def test_folds_without_a_sweep_are_refused(binary_folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    arguments = [sys.executable, "run.py", *TINY, f"dataset.root={binary_folder}", "cv.folds=3"]
    answer = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "python run.py -m cv.folds=3" in answer.stdout


@pytest.mark.slow
def test_a_sweep_that_is_under_way_is_not_started_twice(binary_folder: Path, tmp_path: Path) -> None:
    arguments = (f"dataset.root={binary_folder}", "seed=0,1", "epochs=500")
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    process = subprocess.Popen(
        command(tmp_path, *arguments), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, text=True
    )
    try:
        wait_for(tmp_path, "sweeps/*/0/running.json", process)
        answer = sweep(tmp_path, *arguments)
        assert answer.returncode == 1
        assert "Expected a sweep that is not under way." in answer.stdout
    finally:
        process.terminate()
        process.wait(60)
