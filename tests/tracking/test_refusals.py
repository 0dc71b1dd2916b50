"""A tracking server that answers with errors: entries are retried if the server is at fault, else refused for good."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headstart.tracking import StoreUnavailable, Tracker
from headstart.tracking.journal import Journal, count_pending, report_refused_entries, tracking_record
from headstart.tracking.sending import MAX_FAILURES, send

Answer = tuple[int, dict[str, Any] | str]
Answers = Callable[[str, dict[str, Any]], Answer | None]


class Server(ThreadingHTTPServer):
    """Answers as the REST API of MLflow does: with nothing, or as a test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: Answers = lambda path, body: None
        self.taken: list[dict[str, Any]] = []  # requests to log a batch that were not answered as a test says


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.rpartition("/mlflow/")[2]
        answer = self.server.answers(path, body)
        status, content = answer or (200, {})
        if answer is None and path == "runs/log-batch":
            self.server.taken.append(body)
        text = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(_server: Server) -> Server:
    _server.taken.clear()
    _server.answers = lambda path, body: None
    return _server


@pytest.fixture
def journal(server: Server, tmp_path: Path) -> Iterator[Journal]:
    """Return the journal of a run that the server has, with three things to log."""
    journal = Journal.begin(tmp_path / "run", uri=server.uri, experiment="headstart", name="run", tags={})
    journal.progress.update(run_id="abc", experiment_id="1")
    journal.mark_sent(1, journal._size())
    tracker = Tracker(journal)
    tracker.describe("first", {})
    tracker.describe("bad", {})
    tracker.describe("last", {})
    yield journal
    journal.close()


def error(status: int, code: str) -> Answer:
    return status, {"error_code": code, "message": f"{code} of the test"}


def on_bad(answer: Answer) -> Answers:
    """Answer so where the bad entry is logged, and take everything else."""
    return lambda path, body: answer if path == "runs/log-batch" and "bad" in json.dumps(body) else None


def notes(server: Server) -> list[str]:
    return [tag["value"] for body in server.taken for tag in body.get("tags", [])]


@pytest.mark.parametrize(
    "answer",
    [
        error(403, "PERMISSION_DENIED"),
        error(404, "RESOURCE_DOES_NOT_EXIST"),
        error(404, "ENDPOINT_NOT_FOUND"),
        error(400, "BAD_REQUEST"),
        error(400, "RESOURCE_ALREADY_EXISTS"),
        error(400, "INVALID_PARAMETER_VALUE"),
        error(409, "RESOURCE_CONFLICT"),
        (404, "<html>not found</html>"),
        (405, "no"),
        (422, "no"),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1]['error_code'] if isinstance(answer[1], dict) else ''}",
)
def test_a_refused_entry_is_kept_in_a_file_and_the_rest_is_sent(
    server: Server, journal: Journal, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = on_bad(answer)
    assert send(journal) == 3
    assert notes(server) == ["first", "last"]
    assert count_pending(journal.file) == 0
    [kept] = [json.loads(line) for line in journal.refused_file.read_text().splitlines()]
    assert kept["values"] == {"mlflow.note.content": "bad"}
    [reason] = tracking_record(journal.output).tracking.refused or ()
    assert reason == f"tags: {kept['reason']}"
    report_refused_entries([journal.file])
    said = capsys.readouterr().out
    assert "Warning: not tracked: tags: " in said
    assert f"the tracking store refused 1 entry, kept in {journal.refused_file}" in said


@pytest.mark.parametrize("answer", [error(500, "INTERNAL_ERROR"), (500, "Internal Server Error")], ids=["json", "text"])
def test_an_entry_that_breaks_the_server_is_retried_later(server: Server, journal: Journal, answer: Answer) -> None:
    server.answers = on_bad(answer)
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(StoreUnavailable, match=r"Received: .* 500"):
            send(journal)
    assert notes(server) == ["first"]
    send(journal)
    assert notes(server) == ["first", "last"]
    assert len(tracking_record(journal.output).tracking.refused or ()) == 1


def test_a_server_that_breaks_once_loses_nothing(server: Server, journal: Journal) -> None:
    server.answers = on_bad(error(500, "INTERNAL_ERROR"))
    with pytest.raises(StoreUnavailable):
        send(journal)
    server.answers = lambda path, body: None
    send(journal)
    assert notes(server) == ["first", "bad", "last"]
    assert tracking_record(journal.output).tracking.refused is None


@pytest.mark.parametrize(
    "answer",
    [
        error(401, "UNAUTHENTICATED"),
        error(403, "PERMISSION_DENIED"),
        error(404, "RESOURCE_DOES_NOT_EXIST"),  # another store in its place
        error(500, "INTERNAL_ERROR"),
        error(503, "TEMPORARILY_UNAVAILABLE"),
        error(429, "REQUEST_LIMIT_EXCEEDED"),
        (502, "<html>bad gateway</html>"),
        (504, "<html>gateway timeout</html>"),
        (200, "<html>maintenance</html>"),
    ],
    ids=lambda answer: str(answer[0]),
)
def test_a_server_that_accepts_nothing_counts_as_unreachable(server: Server, journal: Journal, answer: Answer) -> None:
    server.answers = lambda path, body: answer
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(StoreUnavailable):
            send(journal)
    assert count_pending(journal.file) == 3
    server.answers = lambda path, body: None
    send(journal)
    assert notes(server) == ["first", "bad", "last"]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_overloaded_gets_everything_later(server: Server, journal: Journal, status: int) -> None:
    server.answers = on_bad((status, "<html>overloaded</html>"))
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(StoreUnavailable):
            send(journal)
    assert tracking_record(journal.output).tracking.refused is None


def test_one_invalid_metric_does_not_lose_the_others(server: Server, journal: Journal) -> None:
    tracker = Tracker(journal)
    for epoch in range(1, 6):
        tracker.log_metrics({"bad" if epoch == 3 else "loss": 1.0}, epoch)
    server.answers = on_bad(error(403, "PERMISSION_DENIED"))
    send(journal)
    steps = sorted(metric["step"] for body in server.taken for metric in body.get("metrics", []))
    assert steps == [1, 2, 4, 5]
    assert len(tracking_record(journal.output).tracking.refused or ()) == 2
