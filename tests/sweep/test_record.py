"""The record of a sweep: the labels of its jobs, and the journal of their events."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from headstart.core.process_lock import Process
from headstart.sweep.record import JOURNAL, RECORD, Sweep, job_label


def sweep(directory: Path, launch: str = "first") -> Sweep:
    directory.mkdir(exist_ok=True)
    return Sweep(
        name=directory.name,
        directory=str(directory),
        command="python run.py -m seed=0,1",
        swept=("freeze", "seed"),
        jobs=2,
        at_once=1,
        alone=True,
        on_error="continue",
        launch=launch,
        tracking_uri="sqlite:///nowhere.db",
        tracking_experiment="headstart",
        parent_run_id="parent",
    )


def test_jobs_find_the_sweep_in_its_directory(tmp_path: Path) -> None:
    written = sweep(tmp_path)
    written.save()
    assert Sweep.load(tmp_path) == written


def test_the_record_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    written = dataclasses.replace(sweep(tmp_path), launcher=Process.current())
    written.save()
    assert Sweep.load(tmp_path) == written
    values = json.loads((tmp_path / RECORD).read_text())
    del values["launcher"]
    (tmp_path / RECORD).write_text(json.dumps({**values, "host": "node7", "process": 4121}))
    assert Sweep.load(tmp_path) == dataclasses.replace(written, launcher=None)


def test_a_label_holds_the_overrides_that_differ() -> None:
    overrides = ["dataset=folder", "freeze=all", "+seed=1"]
    assert job_label(overrides, ("freeze", "seed")) == "freeze=all +seed=1"
    assert job_label(overrides, ()) == "dataset=folder freeze=all +seed=1"
    assert job_label([], ()) == "as configured"


def test_the_last_event_of_each_job_counts(tmp_path: Path) -> None:
    record = sweep(tmp_path)
    record.note("started", 0, "seed=0")
    record.note("failed", 0, "seed=0", error="out of memory", seconds=3.0)
    record.note("started", 1, "seed=1")
    assert record.ended().keys() == {0}
    assert record.ended()[0]["error"] == "out of memory"


def test_another_launch_starts_with_an_empty_journal(tmp_path: Path) -> None:
    sweep(tmp_path).note("finished", 0, "seed=0")
    again = sweep(tmp_path, "second")
    assert again.ended() == {}
    again.note("found", 0, "seed=0")
    assert again.ended()[0]["event"] == "found"


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path: Path) -> None:
    record = sweep(tmp_path)
    record.note("finished", 0, "seed=0")
    [file] = (tmp_path / JOURNAL).iterdir()
    with file.open("a") as opened:
        opened.write('{"launch": "first", "ev')
    assert record.ended().keys() == {0}
    record.note("finished", 1, "seed=1")  # which begins a line of its own
    assert record.ended().keys() == {0, 1}


TORN = {
    "cut": b'{"launch": "first", "time": 1.0, "event": "fini\n',
    "merged": b'{"launch": "first", "time": 1.0, "ev{"launch": "first", "time": 1.0, "event": "finished", "job": 9}\n',
    "two on a line": b'{"launch": "first", "job": 8}{"launch": "first", "job": 9}\n',
    "without a job": b'{"launch": "first", "time": 1.0, "event": "finished", "label": "x"}\n',
    "of other types": b'{"launch": "first", "time": "now", "event": "finished", "job": "9", "label": null}\n',
    "bytes": bytes(range(256)),
    "zeros": b"\0" * 4096 + b"\n",
    "another kind of JSON": b"[1, 2]\n17\nnull\n",
    "deep": b"[" * 200_000 + b"\n",
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_an_unreadable_line_does_not_lose_the_others(torn: bytes, place: str, tmp_path: Path) -> None:
    record = sweep(tmp_path)
    record.note("finished", 0, "seed=0")
    [file] = (tmp_path / JOURNAL).iterdir()
    file.write_bytes(torn + file.read_bytes() if place == "before" else file.read_bytes() + torn)
    record.note("finished", 1, "seed=1")
    assert record.ended().keys() == {0, 1}


def write_many(record: Sweep, first: int) -> None:
    for number in range(first, first + 50):
        record.note("finished", number, "é" * 500)


def test_eight_processes_write_concurrently(tmp_path: Path) -> None:
    record, context = sweep(tmp_path), multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headstart.sweep.record"])
    processes = [context.Process(target=write_many, args=(record, 50 * number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(list((tmp_path / JOURNAL).iterdir())) == 8
    assert record.ended().keys() == set(range(400))


def test_lines_of_parallel_jobs_stay_whole(tmp_path: Path) -> None:
    record = dataclasses.replace(sweep(tmp_path), jobs=200)
    with ThreadPool(8) as pool:
        pool.map(lambda number: record.note("finished", number, "é" * 2000), range(200))
    assert len(record.ended()) == 200
