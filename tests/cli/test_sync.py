"""What a process that died left open is closed; what is under way is left alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import mlflow
from conftest import HEADSTART

from headstart.results.file import load_results
from headstart.results.runs import RUNNING
from headstart.run.resume import exclusive_run_directory
from headstart.tracking import begin_run

ROOT = Path(__file__).parents[2]


def test_a_run_whose_process_died_is_closed(tmp_path: Path) -> None:
    uri, run = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "runs" / "one"
    tracker = begin_run(uri, "headstart", "one", {}, run)
    tracker.close()
    (run / RUNNING).write_text(json.dumps({"run_id": tracker.run_id, "status": "RUNNING"}), encoding="utf-8")
    with exclusive_run_directory(run, resume=True):
        assert "still running, sends its entries itself" in sync(tmp_path)
    assert mlflow.MlflowClient(uri).get_run(tracker.run_id).info.status == "RUNNING"
    assert "the process of this run died; marked as KILLED" in sync(tmp_path)
    assert mlflow.MlflowClient(uri).get_run(tracker.run_id).info.status == "KILLED"
    assert load_results(run / "results.json").status == "KILLED"
    assert "Nothing to send" in sync(tmp_path)


def sync(outputs: Path) -> str:
    answer = subprocess.run(
        [*HEADSTART, "sync"],
        cwd=ROOT,
        env={**os.environ, "HEADSTART_OUTPUTS": str(outputs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
