"""`headstart ui` and `headstart serve`: the port, the page, one answer, and an end that leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import HEADSTART

from headstart.classifier.saved import load_classifier
from headstart.cli import serve, ui
from headstart.cli.servers import choose_port, is_listening
from headstart.core.errors import HeadstartError
from local_services import free_port

PATIENCE = 300  # seconds


def test_the_usual_port_else_a_free_one_but_a_given_port_is_not_replaced() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        found = choose_port(None, taken)
        assert found not in (0, taken)
        with pytest.raises(HeadstartError, match=f"Expected a free address .*127.0.0.1:{taken}"):
            choose_port(taken, found)
    assert choose_port(taken, found) == taken


def test_a_missing_store_is_reported_before_a_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    assert ui.main(["--no-browser"]) == 1
    assert "`headstart train` makes the first one" in capsys.readouterr().err.replace("\n", " ")
    assert ui.main(["--tracking-uri", "localhost:5000"]) == 1
    assert "did you mean http://localhost:5000?" in capsys.readouterr().err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_the_page_of_a_run_on_a_server_and_of_nothing_tracked(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    assert ui.main([results["run_id"], "--no-browser", "--tracking-uri", "http://tracking.example.org/"]) == 0
    assert capsys.readouterr().out.strip() == (
        f"http://tracking.example.org/#/experiments/{results['experiment_id']}/runs/{results['run_id']}"
        "?workflowType=machine_learning"
    )
    assert ui.main([str(tmp_path), "--no-browser"]) == 1
    assert "Expected a run or a sweep that is tracked" in capsys.readouterr().err


def test_a_directory_without_a_classifier_is_not_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main([str(tmp_path)]) == 1
    assert "Expected a run with a saved classifier" in capsys.readouterr().err


def test_a_sweep_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    (tmp_path / "sweeps" / "freeze_seed-a115c8").mkdir(parents=True)
    assert ui.find_place("freeze_seed-a115c8") == tmp_path / "sweeps" / "freeze_seed-a115c8"
    with pytest.raises(HeadstartError, match="no such directory or run"):
        ui.find_place("freeze")


def test_a_server_that_fails_says_why(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as log:
        server = subprocess.Popen(["sh", "-c", "echo the database is locked; exit 3"], stdout=log)
        with pytest.raises(HeadstartError, match="exited with code 3 and said: the database is locked"):
            ui.wait_for(free_port(), server, log)


@pytest.mark.slow
def test_the_page_of_the_runs(finished_run: Path, tmp_path: Path) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    port = free_port()
    with started(tmp_path, "ui", "--no-browser", "--port", str(port)) as lines:
        page = next(lines)
        experiment = f"http://127.0.0.1:{port}/#/experiments/{results['experiment_id']}/runs"
        assert page == f"{experiment}?workflowType=machine_learning&viewStateShareKey=headstart"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}") as answer:
            assert answer.status == 200
    assert not is_listening(port)


@pytest.mark.slow
def test_a_served_classifier_answers_as_the_one_on_disk(finished_run: Path, folder: Path, tmp_path: Path) -> None:
    port, file = free_port(), folder / "red" / "001.png"
    with started(tmp_path, "serve", str(finished_run), "--port", str(port)) as lines:
        assert next(lines).startswith("Model: last_block linear s0 small_cnn")
        assert any(f"http://127.0.0.1:{port}/invocations" in line for line in lines)  # up to this one
        end = time.monotonic() + PATIENCE
        while not is_listening(port):
            assert time.monotonic() < end
            time.sleep(0.2)
        body = json.dumps({"inputs": {"image": [base64.b64encode(file.read_bytes()).decode()]}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            [row] = json.load(answer)["predictions"]
    assert not is_listening(port)
    classifier = load_classifier(finished_run)
    [(_, expected)] = classifier.predict([file])
    assert row["label"] == classifier.class_names[int(expected.argmax())]
    assert row["confidence"] == pytest.approx(float(expected.max()), abs=1e-6)


@contextmanager
def started(directory: Path, *words: str) -> Iterator[Iterator[str]]:
    """Run a command, yield the lines that it prints, and end it as Ctrl-C does: exit code 0, no traceback."""
    errors = directory / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [*HEADSTART, *words],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdout is not None
    try:
        yield (line.rstrip("\n") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in errors.read_text()
    finally:
        process.terminate()  # not kill: the command ends the server that it started
        process.wait(PATIENCE)
        process.stdout.close()
