"""What a process that died left open is closed; what is under way is left alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import mlflow
import pytest
from conftest import HEADSTART

from headstart.cli import sync
from headstart.results.file import load_results
from headstart.results.runs import RUNNING
from headstart.run.resume import exclusive_run_directory
from headstart.tracking import begin_run

ROOT = Path(__file__).parents[2]


def test_a_run_whose_process_died_is_closed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri, run = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "runs" / "one"
    tracker = begin_run(uri, "headstart", "one", {}, run)
    tracker.close()
    (run / RUNNING).write_text(json.dumps({"run_id": tracker.run_id, "status": "RUNNING"}), encoding="utf-8")
    with exclusive_run_directory(run, resume=True):
        assert "still running, sends its entries itself" in sync_in_another_process(tmp_path)
    assert mlflow.MlflowClient(uri).get_run(tracker.run_id).info.status == "RUNNING"
    assert sync.main([str(tmp_path)]) == 0
    assert "the process of this run died; marked as KILLED" in capsys.readouterr().out
    assert mlflow.MlflowClient(uri).get_run(tracker.run_id).info.status == "KILLED"
    assert load_results(run / "results.json").status == "KILLED"
    assert sync.main([str(tmp_path)]) == 0
    assert "Nothing to send" in capsys.readouterr().out


def sync_in_another_process(outputs: Path) -> str:
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
