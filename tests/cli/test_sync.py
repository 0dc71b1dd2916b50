"""What a process that died left open is closed; what is under way is left alone."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import mlflow
from forked import ForkServer

from headstart.results.file import load_results
from headstart.results.runs import RUNNING
from headstart.run.resume import exclusive_run_directory
from headstart.tracking import begin_run

ROOT = Path(__file__).parents[2]


def test_a_run_whose_process_died_is_closed(tmp_path: Path, fork_server: ForkServer) -> None:
    sync = functools.partial(synchronise, fork_server)
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


def synchronise(fork_server: ForkServer, outputs: Path) -> str:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs)}
    answer = fork_server.run(["-m", "headstart", "sync"], cwd=ROOT, env=environment)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
