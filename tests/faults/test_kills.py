"""A run that is killed at any moment and resumed ends like an uninterrupted one."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [
    *("run.py", "backbone=small_cnn", "dataset.fraction=0.2", "freeze=last_block", "image_size=32", "cache=auto"),
    *("epochs=3", "head.dropout=0.3", "checkpoint_seconds=0"),
]
pytestmark = pytest.mark.slow


def start(outputs: Path, cache: Path, words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs), "HEADSTART_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(outputs: Path, cache: Path, words: list[str]) -> str:
    process = start(outputs, cache, words)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def only_run(outputs: Path) -> Path:
    [directory] = [file.parent for file in outputs.glob("runs/*/config.yaml")]
    return directory


def figures(directory: Path) -> dict[str, Any]:
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    with (directory / "history.csv").open(encoding="utf-8", newline="") as file:
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    predictions = (directory / "predictions.csv").read_text(encoding="utf-8")
    return {"splits": results["splits"], "best": results["best_epoch"]["epoch"], "history": history, "p": predictions}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Return the directory of an uninterrupted run, and how many seconds it took."""
    outputs = tmp_path_factory.mktemp("whole")
    finish(outputs, outputs / "cache", COMMAND)
    started = time.monotonic()
    finish(outputs / "again", outputs / "cache", COMMAND)
    return only_run(outputs), time.monotonic() - started


def go_on(outputs: Path, cache: Path) -> None:
    """Go on with the run if it had begun, else begin."""
    finish(outputs, cache, [*COMMAND, "resume=auto"])


def finished(outputs: Path) -> list[Path]:
    """Return the directories of runs that are over; those that can be resumed are not."""
    directories = [file.parent for file in outputs.glob("runs/*/results.json")]
    return [
        one
        for one in directories
        if json.loads((one / "results.json").read_text())["status"] == "FINISHED"
        and not (one / "checkpoint.npz").exists()
    ]


def check(outputs: Path, whole: Path) -> None:
    [run] = finished(outputs)
    assert figures(run) == figures(whole)
    left = [file.name for file in run.iterdir() if file.name.startswith(".") and file.name != ".run.lock"]
    assert not left
    run_id = json.loads((run / "results.json").read_text())["run_id"]
    client = mlflow.MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
    assert client.get_run(run_id).info.status == "FINISHED"
    logged = client.get_metric_history(run_id, "epoch/val_loss")
    assert sorted(one.step for one in logged) == [int(row["epoch"]) for row in figures(whole)["history"]]


def interrupted(whole: tuple[Path, float], tmp_path: Path, seed: int, end: signal.Signals) -> tuple[int, str]:
    """Start the run, send it a signal at a random moment, and return its exit code and what it printed."""
    directory, seconds = whole
    process = start(tmp_path, directory.parents[1] / "cache", COMMAND)
    time.sleep(random.Random(seed).uniform(0.3, 1.0) * seconds)
    process.send_signal(end)
    said, _ = process.communicate()
    if process.returncode and not finished(tmp_path):  # where only the process had not ended, there is nothing left
        go_on(tmp_path, directory.parents[1] / "cache")
    check(tmp_path, directory)
    return process.returncode, said


@pytest.mark.parametrize("kill", range(30))
def test_a_killed_and_resumed_run_ends_like_an_uninterrupted_one(
    kill: int, whole: tuple[Path, float], tmp_path: Path
) -> None:
    code, said = interrupted(whole, tmp_path, kill, signal.SIGKILL)
    assert code in (-signal.SIGKILL, 0), said


@pytest.mark.parametrize("number", range(10))
def test_a_terminated_and_resumed_run_ends_like_an_uninterrupted_one(
    number: int, whole: tuple[Path, float], tmp_path: Path
) -> None:
    end = (signal.SIGTERM, signal.SIGHUP)[number % 2]
    code, said = interrupted(whole, tmp_path, number, end)
    assert code in (128 + end, 0), said
    assert ("Interrupted." in said) == (code == 128 + end)
