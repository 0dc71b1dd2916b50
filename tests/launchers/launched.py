"""Sweeps through the real command line, and what they left."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pytest

ROOT = Path(__file__).parents[2]
TINY = (
    "backbone=small_cnn",
    "freeze=scratch",
    "epochs=2",
    "image_size=32",
    "dataset=folder",
    "dataset.split.test=0.25",
)


def needs(module: str, extra: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test where an extra is not installed.

    Args:
        module: that comes with it.
        extra: its name in pyproject.toml.
    """
    parent, _, _ = module.rpartition(".")
    there = importlib.util.find_spec(parent or module) and importlib.util.find_spec(module)
    return pytest.mark.skipif(not there, reason=f"pip install -e '.[{extra}]' brings it")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "run.py", "-m", *TINY, *arguments]


def launch(outputs: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep of tiny jobs and return what it said."""
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs), **variables}
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def sweep_of(outputs: Path) -> Path:
    [directory] = (outputs / "sweeps").iterdir()
    return directory


def results_of(outputs: Path) -> list[dict[str, Any]]:
    """Return the results of every job, by its number."""
    files = sorted(sweep_of(outputs).glob("*/results.json"), key=lambda file: file.parent.name)
    return [json.loads(file.read_text()) for file in files]


def check_finished(outputs: Path, answer: subprocess.CompletedProcess[str], jobs: int) -> list[dict[str, Any]]:
    """Check that every job finished, said one line, kept what it printed, and return the results."""
    assert answer.returncode == 0, answer.stdout + answer.stderr
    results = results_of(outputs)
    assert [result["status"] for result in results] == ["FINISHED"] * jobs
    assert f": {jobs} finished" in answer.stdout
    assert sum(line.startswith("[") and ": finished in" in line for line in answer.stdout.splitlines()) == jobs
    for result in results:
        assert "validation" in (Path(result["output"]) / "console.log").read_text()
    return results


def check_tracked(outputs: Path, jobs: int, uri: str | None = None) -> None:
    """Check that the tracking store has every job below one parent, and every figure of every epoch."""
    client = mlflow.MlflowClient(uri or f"sqlite:///{outputs}/mlflow.db")
    experiment = client.get_experiment_by_name("headstart")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert len(children) == jobs
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({frozenset(run.data.metrics) for run in children}) == 1
    for run in children:
        with (Path(run.data.tags["output"]) / "history.csv").open(newline="") as file:
            history = list(csv.DictReader(file))
        assert len(history) >= 2
        for key in ("train_loss", "validation_loss", "validation_accuracy", "learning_rate"):
            points = client.get_metric_history(run.info.run_id, f"epoch/{key.replace('validation', 'val')}")
            values = [point.value for point in sorted(points, key=lambda point: point.step)]
            assert values == pytest.approx([float(row[key]) for row in history], rel=1e-4)
        assert {"test_accuracy", "val_accuracy", "best_epoch"} <= run.data.metrics.keys()
        names = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"config.yaml", "predictions.csv", "figures"} <= names
