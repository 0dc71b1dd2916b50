"""The journal loses nothing when the store is unreachable, answers are lost, or processes die."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from headstart.results.sections import Registration, Tracking
from headstart.tracking import (
    JournalInUseError,
    StoreUnavailable,
    Tracker,
    begin_run,
    continue_run,
    pending_journals,
    tracked_run,
    tracking_worker,
)
from headstart.tracking import background as sending_in_background
from headstart.tracking.background import BackgroundSender
from headstart.tracking.datasets import LoggedDataset
from headstart.tracking.journal import Journal, count_pending, journals, tracking_record
from headstart.tracking.resend import send_pending

EPOCHS = range(1, 31)
# Tables of MLflow's store in which a second sending could leave a second row.
TABLES = (
    *("runs", "params", "metrics", "latest_metrics", "tags", "logged_models", "logged_model_metrics", "inputs"),
    *("datasets", "input_tags", "registered_models", "model_versions", "registered_model_aliases"),
)


class Store:
    """A SQLite store that can be taken away and put back."""

    def __init__(self, directory: Path, empty: Path) -> None:
        directory.mkdir()
        shutil.copy(empty, directory / "mlflow.db")
        self.file, self.elsewhere = directory / "mlflow.db", directory / "elsewhere.db"
        self.uri = f"sqlite:///{self.file}"

    def take_away(self) -> None:
        self.file.rename(self.elsewhere)

    def put_back(self) -> None:
        self.elsewhere.rename(self.file)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            return database.execute(f"SELECT * FROM {table}").fetchall()

    def counts(self) -> dict[str, int]:
        return {table: len(self.rows(table)) for table in TABLES}

    def run(self) -> Any:
        client = mlflow.MlflowClient(self.uri)
        [run] = client.search_runs([client.get_experiment_by_name("headstart").experiment_id])
        return run

    def history(self, key: str) -> list[tuple[int, float]]:
        points = mlflow.MlflowClient(self.uri).get_metric_history(self.run().info.run_id, key)
        return sorted((point.step, point.value) for point in points)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store without experiments, which takes a second to make."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Store:
    return Store(tmp_path / "store", empty)


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_in_background, "SEND_INTERVAL", 0.02)
    monkeypatch.setattr(sending_in_background, "RETRY_INTERVALS", (0.02,))


def log_everything(tracker: Tracker) -> None:
    """Log what a run logs."""
    output = tracker.journal.output
    (output / "classifier").mkdir(parents=True)
    (output / "classifier" / "model.keras").write_text("a model")
    (output / "history.csv").write_text("epoch\n")
    tracker.log_parameters({"backbone": "vgg16", "seed": 3})
    tracker.log_datasets(
        [LoggedDataset("birds", split, split * 9, "/birds", {"owl": 2}) for split in ("train", "test")]
    )
    for epoch in EPOCHS:
        tracker.log_metrics({"epoch/loss": 1 / epoch, "epoch/seconds": 0.1}, epoch)
    tracker.log_files([output / "history.csv"], "tables")
    tracker.log_metrics({"test_accuracy": 0.9, "nothing": float("nan")})
    tracker.log_classifier(output / "classifier", "It knows owls.", register="owls")
    tracker.describe("It went well.", {"best_stage": "head"})


def check_everything(store: Store, status: str = "FINISHED") -> None:
    run = store.run()
    assert run.info.status == status
    assert run.data.params == {"backbone": "vgg16", "seed": "3"}
    assert run.data.tags["best_stage"] == "head"
    assert run.data.tags["mlflow.note.content"] == "It went well."
    assert store.history("epoch/loss") == [(epoch, 1 / epoch) for epoch in EPOCHS]
    assert store.history("test_accuracy") == [(0, 0.9)]
    client = mlflow.MlflowClient(store.uri)
    assert [file.path for file in client.list_artifacts(run.info.run_id, "tables")] == ["tables/history.csv"]
    [model] = client.search_logged_models([run.info.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert (model.name, model.status, model.source_run_id) == (run.info.run_name, "READY", run.info.run_id)
    assert model.tags["mlflow.note.content"].startswith("It knows owls.")
    logged = {(one.tags[0].value, one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs}
    assert logged == {("train", "birds", "traintra"), ("test", "birds", "testtest")}
    [version] = client.search_model_versions("name = 'owls'")
    assert (version.run_id, int(version.version)) == (run.info.run_id, 1)
    assert int(client.get_model_version_by_alias("owls", "champion").version) == 1
    assert model.params == run.data.params
    assert "test_accuracy" in [metric.key for metric in model.metrics]
    assert list(Path(model.artifact_location.removeprefix("file://")).rglob("model.keras"))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_store_that_is_unreachable_for_a_while_gets_everything_once(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(store.uri, "headstart", "outage", {}, tmp_path / "run") as tracker:
        tracker.log_metrics({"epoch/loss": 1.0, "epoch/seconds": 0.1}, 1)
        until(lambda: not tracker.journal.has_pending())
        store.take_away()
        journal = tracker.journal.file
        log_everything_but_the_first_epoch(tracker)
        # Read when it is said: what another thread prints while pytest's capture is emptied would be lost.
        [sender] = [thread for thread in threading.enumerate() if isinstance(thread, BackgroundSender)]
        until(lambda: sender.failed_attempts > 2)
        assert count_pending(journal) > len(EPOCHS)
        store.put_back()
        until(lambda: not tracker.journal.has_pending())
    check_everything(store)
    said = capsys.readouterr().out
    assert said.count("does not answer") == 1
    assert f"kept in {tmp_path / 'run' / 'tracking'}" in said.replace("\n", " ")
    assert "answers again" in said
    told = tracking_record(tmp_path / "run").tracking
    assert (told.waiting, told.refused) == (0, None)
    assert told.registration == Registration(name="owls", version=1, champion=True, reason="it is the first version")


def log_everything_but_the_first_epoch(tracker: Tracker) -> None:
    tracker._before = {("epoch/loss", 1): 1.0, ("epoch/seconds", 1): 0.1}
    log_everything(tracker)


def test_a_store_that_stays_unreachable_gets_everything_later(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(store.uri, "headstart", "outage", {}, tmp_path / "run") as tracker:
        store.take_away()
        log_everything(tracker)
    ended = time.time()
    [file] = pending_journals(tmp_path / "run")
    assert f"headstart sync {tmp_path / 'run'}" in capsys.readouterr().out.replace("\n", " ")
    waiting = count_pending(file)
    assert tracking_record(tmp_path / "run").tracking == Tracking(waiting=waiting)
    with pytest.raises(StoreUnavailable, match=r"Expected a tracking store at .* Received: the file does not exist"):
        send_pending(file)
    assert not store.file.exists()  # no empty one was made
    time.sleep(0.1)
    store.put_back()
    sent = send_pending(file)
    assert (sent.entries, sent.status, sent.refused) == (waiting, "FINISHED", 0)
    check_everything(store)
    assert store.run().info.end_time <= ended * 1000
    assert pending_journals(tmp_path / "run") == []
    before = store.counts()
    assert send_pending(file).entries == 0
    assert store.counts() == before


def test_sending_an_entry_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    with tracked_run(store.uri, "headstart", "killed", {}, tmp_path / "run") as tracker:
        log_everything(tracker)
    before, run_id = store.counts(), tracker.run_id
    [file] = journals(tmp_path / "run")
    file.with_suffix(".sent.json").unlink()
    assert send_pending(file).entries == len(file.read_text().splitlines())
    check_everything(store)
    assert store.counts() == before
    assert tracking_record(tmp_path / "run").run_id == run_id


def test_lost_answers_create_no_duplicates(
    store: Store, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of request is done by the store, and the first time its answer does not arrive."""
    undisturbed = Store(tmp_path / "undisturbed", empty)
    with tracked_run(undisturbed.uri, "headstart", "undisturbed", {}, tmp_path / "first") as tracker:
        log_everything(tracker)
    lost = []

    def losing(name: str) -> Callable[..., Any]:
        method = getattr(mlflow.MlflowClient, name)

        def call(*arguments: Any, **more: Any) -> Any:
            answer = method(*arguments, **more)
            if name not in lost:
                lost.append(name)
                raise MlflowException("API request failed with exception ('Connection aborted.')")
            return answer

        return call

    asked = ("create_run", "log_batch", "log_artifact", "create_logged_model", "log_outputs", "log_model_artifacts")
    asked += ("finalize_logged_model", "set_terminated", "log_inputs", "set_logged_model_tags")
    asked += ("create_registered_model", "create_model_version", "set_registered_model_alias")
    for name in asked:
        monkeypatch.setattr(mlflow.MlflowClient, name, losing(name))
    tracker = begin_run(store.uri, "headstart", "lossy", {}, tmp_path / "second", allow_offline=True)
    log_everything(tracker)
    tracker.end("FINISHED")
    tracker.journal.close()
    [file] = journals(tmp_path / "second")
    while count_pending(file):
        with contextlib.suppress(StoreUnavailable):
            send_pending(file)
    assert set(lost) == set(asked)
    check_everything(store)
    assert store.counts() == undisturbed.counts()


def test_a_refused_entry_is_reported_and_the_rest_is_sent(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(store.uri, "headstart", "refused", {}, tmp_path / "run") as tracker:
        tracker.log_parameters({"seed": 3})
        tracker.journal.append("parameters", values={"seed": "4"})  # as an earlier version did for a resumed run
        tracker.log_files([tmp_path / "run" / "nowhere.csv"])
        tracker.log_metrics({"test_accuracy": 0.5})
    assert store.run().info.status == "FINISHED"
    assert store.history("test_accuracy") == [(0, 0.5)]
    told = tracking_record(tmp_path / "run").tracking
    assert told.waiting == 0
    assert "Changing param values is not allowed" in (told.refused or ())[0]
    assert (told.refused or ())[1].endswith("nowhere.csv no longer exists")
    assert "Warning: not tracked: parameters: " in capsys.readouterr().out


def test_artifacts_that_cannot_be_written_block_nothing(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_run(store.uri, "headstart", "first", {}, tmp_path / "first").close()  # makes the experiment
    (store.file.parent / "mlartifacts").write_text("a file in the place of the directory")
    with tracked_run(store.uri, "headstart", "refused", {}, tmp_path / "run") as tracker:
        for name in ("one.csv", "two.csv"):
            (tmp_path / "run" / name).write_text("epoch\n")
            tracker.log_files([tmp_path / "run" / name])
        tracker.log_metrics({"test_accuracy": 0.5})
    run = mlflow.MlflowClient(store.uri).get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test_accuracy": 0.5})
    told = tracking_record(tmp_path / "run").tracking
    assert told.waiting == 0
    assert [reason.partition(":")[0] for reason in told.refused or ()] == ["file", "file"]
    kept = [json.loads(line) for line in tracker.journal.refused_file.read_text().splitlines()]
    assert [entry["path"] for entry in kept] == ["one.csv", "two.csv"]
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("Warning: not tracked: file: ") == 1
    assert "the tracking store refused 2 entries, kept in" in said


def test_a_run_that_fails_while_the_store_is_unreachable(store: Store, tmp_path: Path) -> None:
    def fail() -> None:
        with tracked_run(store.uri, "headstart", "fails", {}, tmp_path / "run"):
            store.take_away()
            raise ZeroDivisionError("in the second epoch")

    with pytest.raises(ZeroDivisionError, match="in the second epoch"):
        fail()
    store.put_back()
    [file] = pending_journals(tmp_path / "run")
    assert send_pending(file).status == "FAILED"
    run = store.run()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "in the second epoch"
    client = mlflow.MlflowClient(store.uri)
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["error.txt"]


def test_a_resumed_run_appends_to_its_journal(store: Store, tmp_path: Path) -> None:
    killed = begin_run(store.uri, "headstart", "killed", {}, tmp_path / "run")
    for epoch in (1, 2, 3):  # none of which is sent
        killed.log_metrics({"epoch/loss": 1 / epoch, "epoch/seconds": 0.5}, epoch)
    killed.log_metrics({"stages": 1.0})
    killed.journal.close()
    with killed.journal.file.open("a") as file:
        file.write('{"kind": "metr')  # it died within a line
    with tracked_run(store.uri, "headstart", "killed", {}, tmp_path / "run", resume=True) as tracker:
        assert tracker.run_id == killed.run_id
        until(lambda: store.run().info.status == "RUNNING" and not tracker.journal.has_pending())
        for epoch in (3, 4, 5):  # the third one is trained again
            tracker.log_metrics({"epoch/loss": 1 / epoch, "epoch/seconds": 0.7}, epoch)
        tracker.log_metrics({"stages": 1.0, "test_accuracy": 0.9})
    assert store.run().info.status == "FINISHED"
    assert store.history("epoch/loss") == [(epoch, 1 / epoch) for epoch in (1, 2, 3, 4, 5)]
    assert store.history("epoch/seconds") == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.7), (5, 0.7)]
    assert store.history("stages") == [(0, 1.0)]


def test_a_run_that_ended_can_be_resumed(store: Store, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError),
        tracked_run(store.uri, "headstart", "first", {}, tmp_path / "run") as first,
    ):
        raise RuntimeError("no room left")
    assert store.run().data.tags["error"] == "no room left"
    with tracked_run(store.uri, "headstart", "again", {}, tmp_path / "run", resume=True) as second:
        until(lambda: store.run().info.status == "RUNNING")
    assert second.run_id == first.run_id
    assert store.run().info.status == "FINISHED"
    assert "error" not in store.run().data.tags
    with tracked_run(store.uri, "headstart", "anew", {}, tmp_path / "run") as third:
        pass
    assert third.run_id != first.run_id
    mlflow.MlflowClient(store.uri).delete_run(third.run_id)
    assert continue_run(tmp_path / "run") is None


def test_a_job_starts_while_the_store_is_unreachable(store: Store, tmp_path: Path) -> None:
    begin_run(store.uri, "headstart", "parent", {}, tmp_path / "sweep").close()
    store.take_away()
    nowhere = f"sqlite:///{tmp_path}/file/mlflow.db"
    (tmp_path / "file").write_text("no directory")
    with tracked_run(nowhere, "headstart", "job", {"sweep": "mine"}, tmp_path / "0", allow_offline=True) as tracker:
        log_everything(tracker)
        assert tracker.run_id == tracker.journal.header["id"]
        assert tracker.experiment_id is None
    store.put_back()
    [file] = pending_journals(tmp_path / "0")
    assert send_pending(file, store.uri).status == "FINISHED"  # it has another address by now
    told = tracking_record(tmp_path / "0")
    run = mlflow.MlflowClient(store.uri).get_run(told.run_id)
    assert run.data.tags["sweep"] == "mine"
    assert run.info.experiment_id == told.experiment_id
    assert len(run.data.params) == 2


def test_the_journal_of_a_running_run_is_sent_by_nobody_else(store: Store, tmp_path: Path) -> None:
    with (
        tracked_run(store.uri, "headstart", "alive", {}, tmp_path / "run") as tracker,
        pytest.raises(JournalInUseError, match=r".*run is still running, or `headstart sync` is sending it\. Wait"),
    ):
        send_pending(tracker.journal.file)
    assert send_pending(tracker.journal.file).entries == 0


@pytest.mark.slow
def test_a_worker_sends_as_the_run_itself_does(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracking_worker(store.uri):
        with tracked_run(store.uri, "headstart", "in a worker", {}, tmp_path / "run") as tracker:
            tracker.log_files([tmp_path / "run" / "nowhere.csv"])
            log_everything(tracker)
        assert tracker.run_id == store.run().info.run_id
        with pytest.raises(StoreUnavailable, match="Expected a tracking store at sqlite:////proc/none"):
            begin_run("sqlite:////proc/none/mlflow.db", "headstart", "away", {}, tmp_path / "away")
    check_everything(store)
    assert store.run().data.tags["mlflow.source.name"] == sys.argv[0]
    assert "Warning: not tracked: file: " in capsys.readouterr().out
    assert count_pending(tracker.journal.file) == 0


@contextlib.contextmanager
def hanging_server() -> Iterator[tuple[str, socket.socket]]:
    """Yield the address of a server that lets itself be called and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


def test_a_server_that_hangs_never_blocks_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with hanging_server() as (uri, listener):
        journal = Journal.begin(tmp_path / "run", uri=uri, experiment="headstart", name="hangs", tags={})
        tracker, sender = Tracker(journal), BackgroundSender(journal)
        sender.start()
        connection, _ = listener.accept()  # the sender waits for an answer from now on
        for epoch in range(1, 1001):
            tracker.log_metrics({"epoch/loss": 1 / epoch}, epoch)
        assert sender.failed_attempts == 0  # all epochs were over before it had even given up
        sender.finish()
        assert not sender.is_alive()
        connection.close()
    journal.close()
    assert count_pending(journal.file) == 1001


def test_a_journal_is_complete_lines_of_json(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, uri="", experiment="", name="", tags={})
    journal.append("tags", values={"name": "caf\N{LATIN SMALL LETTER E WITH ACUTE} \udc80\n"})
    kinds = [json.loads(line)["kind"] for line in journal.file.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["create", "tags"]
    assert [entry["values"] for entry in journal.entries() if entry["kind"] == "tags"] == [{"name": "caf\xe9 ?\n"}]
    journal.close()
