"""A tracking server that is killed, restarted, stopped or gone for good while runs train."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import TINY

from headstart.cli.servers import is_listening
from headstart.tracking import count_pending
from local_services import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds, on a machine that does other things

pytestmark = pytest.mark.slow


class Server:
    """An MLflow server on one port, with SQLite and its artifacts behind it, that can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--artifacts-destination", str(self.directory / "artifacts")]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"]
        with (self.directory / "server.out").open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        until(lambda: is_listening(self.port))

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.directory / "mlflow.db")) as database:
            return database.execute(query).fetchall()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def start(server: Server, outputs: Path, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(outputs), "MLFLOW_TRACKING_URI": server.uri, **variables}
    command = [sys.executable, "run.py", *arguments, *TINY, f"dataset.root={folder}", "freeze=scratch"]
    return subprocess.Popen(
        [*command, "tracking=server"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said[-3000:]
    return said


def sync(outputs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headstart", "sync", *arguments],
        cwd=ROOT,
        env={**os.environ, "HEADSTART_OUTPUTS": str(outputs), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def journalled(outputs: Path, kind: str) -> int:
    """Return how many entries of a kind the run has logged."""
    files = list(outputs.glob("runs/*/tracking/*.jsonl"))
    return sum(f'"kind": "{kind}"' in line for file in files for line in file.read_text().splitlines())


def reach(process: subprocess.Popen[str], outputs: Path, kind: str, count: int) -> None:
    """Wait until a run that is under way has logged so many entries."""
    until(lambda: process.poll() is not None or journalled(outputs, kind) >= count)
    assert process.poll() is None, process.communicate()[0][-3000:]


def check_run(server: Server, output: Path) -> None:
    """Check that the store has every figure of every epoch, every artifact and the model, each of them once."""
    results = json.loads((output / "results.json").read_text())
    assert results["status"] == "FINISHED"
    assert results["tracking"] == {"waiting": 0}
    client = mlflow.MlflowClient(server.uri)
    run = client.get_run(results["run_id"])
    assert run.info.status == "FINISHED"
    with (output / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    for key in ("train_loss", "validation_loss", "validation_accuracy", "learning_rate"):
        points = client.get_metric_history(run.info.run_id, f"epoch/{key.replace('validation', 'val')}")
        found = sorted((point.step, point.value) for point in points)
        assert [step for step, _ in found] == list(range(1, len(history) + 1))
        assert [value for _, value in found] == pytest.approx([float(row[key]) for row in history], rel=1e-4)
    for key, value in results["splits"]["test"].items():
        if isinstance(value, int | float):
            points = client.get_metric_history(run.info.run_id, f"test_{key}")
            assert [point.value for point in points] == pytest.approx([value])
    assert server.rows("SELECT run_uuid, key, step FROM metrics GROUP BY 1, 2, 3 HAVING COUNT(*) > 1") == []
    [model] = [
        model
        for model in client.search_logged_models([run.info.experiment_id])
        if model.source_run_id == results["run_id"]
    ]
    assert model.status == "READY"
    assert [found.model_id for found in run.outputs.model_outputs] == [model.model_id]
    stored = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert stored >= {"config.yaml", "splits.csv", "history.csv", "predictions.csv", "results.json", "figures"}
    figures = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "figures")}
    assert figures == {file.name for file in (output / "figures").glob("*.png")}
    logged = json.loads(Path(client.download_artifacts(run.info.run_id, "results.json", str(output))).read_text())
    assert logged["run_id"] == results["run_id"]
    assert logged["tracking"] == {"waiting": 0}


def test_a_server_that_is_killed_and_restarted_three_times(server: Server, folder: Path, tmp_path: Path) -> None:
    generator, outputs = random.Random(7), tmp_path / "outputs"
    process = start(server, outputs, folder, "epochs=400")
    moments = [("metrics", generator.randint(5, 150)), ("metrics", generator.randint(180, 300)), ("classifier", 1)]
    for kind, count in moments:
        reach(process, outputs, kind, count)
        time.sleep(generator.random())
        server.kill()
        until(lambda: any(map(count_pending, outputs.glob("runs/*/tracking/*.jsonl"))))
        time.sleep(3 * generator.random())
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGSTOP)  # else it could be over before the server is back
        server.start()
        process.send_signal(signal.SIGCONT)
    finish(process)
    [output] = (outputs / "runs").iterdir()
    answer = sync(outputs)  # of what is left where the last outage outlived the run
    assert answer.returncode == 0, answer.stdout + answer.stderr
    check_run(server, output)
    assert len(server.rows("SELECT run_uuid FROM runs")) == 1


def test_a_server_that_stays_away(server: Server, folder: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    process = start(server, outputs, folder, "epochs=60")
    reach(process, outputs, "metrics", 3)
    server.kill()
    said = finish(process)
    [output] = (outputs / "runs").iterdir()
    assert said.count("does not answer") >= 1
    assert f"headstart sync {output}" in said
    waiting = json.loads((output / "results.json").read_text())["tracking"]["waiting"]
    assert waiting > 10
    answer = sync(outputs)
    assert answer.returncode == 1
    assert f"error: {output}: Expected a tracking store at {server.uri}" in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr

    server.start()
    answer = sync(outputs, str(output))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{output}: sent {waiting} entries; the run is FINISHED" in answer.stdout
    check_run(server, output)
    before = server.rows("SELECT * FROM metrics"), server.rows("SELECT * FROM runs")
    answer = sync(outputs)
    assert (answer.returncode, answer.stdout) == (0, f"Nothing to send in {outputs}\n")
    assert (server.rows("SELECT * FROM metrics"), server.rows("SELECT * FROM runs")) == before


def test_a_server_that_hangs(server: Server, folder: Path, tmp_path: Path) -> None:
    """The run is over while the server, which is there, has not answered once since the run began."""
    outputs = tmp_path / "outputs"
    process = start(server, outputs, folder, "epochs=60", MLFLOW_HTTP_REQUEST_TIMEOUT="5")
    reach(process, outputs, "metrics", 3)
    server.signal(signal.SIGSTOP)
    finish(process)
    [output] = (outputs / "runs").iterdir()
    assert json.loads((output / "results.json").read_text())["tracking"]["waiting"] > 10
    server.signal(signal.SIGCONT)
    answer = sync(outputs)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    check_run(server, output)


def test_a_sweep_loses_no_job(server: Server, folder: Path, tmp_path: Path) -> None:
    """The first job is under way when the server dies; the second one begins without it."""
    outputs = tmp_path / "outputs"
    process = start(server, outputs, folder, "-m", "seed=0,1", "epochs=5", "sweep.name=mine")
    until(lambda: process.poll() is not None or any(outputs.glob("sweeps/mine/0/running.json")))
    server.kill()
    said = finish(process)
    assert "Sweep mine: 2 finished" in said
    assert f"headstart sync {outputs / 'sweeps' / 'mine'}" in said
    server.start()
    answer = sync(outputs, str(outputs / "sweeps" / "mine"))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for job in ("0", "1"):
        check_run(server, outputs / "sweeps" / "mine" / job)
    client = mlflow.MlflowClient(server.uri)
    runs = client.search_runs([client.get_experiment_by_name("headstart").experiment_id])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == 3
    assert {run.data.tags["mlflow.parentRunId"] for run in runs if run is not parent} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.metrics["jobs_finished"] == 2
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["comparison"]
