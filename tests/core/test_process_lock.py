"""Which process owns a directory: known by its process id on this machine, by its heartbeat on another one."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from headstart.core import process_lock
from headstart.core.process_lock import HEARTBEAT, MISSED_BEATS, InUseError, Lock, Process, live_owner, read_owner

HERE = Process.current()
ELSEWHERE = dataclasses.replace(HERE, host="node7", machine="node7 another boot", number=4121)


def write(file: Path, process: Process, seconds_silent: float = 0.0) -> None:
    """Write the lock file of a process that touched it so many seconds ago."""
    file.write_text(json.dumps({"token": "before", **dataclasses.asdict(process)}), encoding="utf-8")
    os.utime(file, (time.time() - seconds_silent,) * 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".run.lock"


def ended_process() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_directory_has_one_owner_until_release(file: Path) -> None:
    lock = Lock(file, "run")
    message = rf"This run is in progress \(process {os.getpid()} on {HERE.host}\)\. Wait for it, or stop it\."
    with pytest.raises(InUseError, match=message):
        Lock(file, "run")
    lock.release()
    assert list(file.parent.iterdir()) == []
    Lock(file, "run").release()


@pytest.mark.parametrize(
    ("process", "seconds_silent", "alive"),
    [
        pytest.param(HERE, 0, True, id="this process"),
        pytest.param(HERE, 3600, True, id="this process, suspended for an hour"),
        pytest.param(dataclasses.replace(HERE, started="1"), 0, False, id="a reused process id"),
        pytest.param(dataclasses.replace(HERE, number=ended_process()), 0, False, id="a process that ended"),
        pytest.param(ELSEWHERE, 0, True, id="on another machine"),
        pytest.param(ELSEWHERE, 3 * HEARTBEAT, True, id="on another machine, three beats missed"),
        pytest.param(ELSEWHERE, (MISSED_BEATS + 1) * HEARTBEAT, False, id="on another machine, silent"),
    ],
)
def test_an_owner_is_alive_or_dead(process: Process, seconds_silent: float, alive: bool, file: Path) -> None:
    write(file, process, seconds_silent)
    assert (live_owner(file) is not None) == alive
    if alive:
        with pytest.raises(InUseError, match=rf"process {process.number} on {process.host}"):
            Lock(file, "run")
    else:
        Lock(file, "run").release()


def test_the_clock_of_this_machine_does_not_matter(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, ELSEWHERE)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    assert live_owner(file) is not None


def test_the_owner_touches_its_lock_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "HEARTBEAT", 0.01)
    lock = Lock(file, "run")
    os.utime(file, (1, 1))
    deadline = time.monotonic() + 120
    while file.stat().st_mtime < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lock.release()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"token": 1}', "\udcff", '{"token": "a", "host": "b", "more": 1}']
)
def test_an_invalid_lock_file_locks_nothing(content: str, file: Path) -> None:
    file.write_bytes(content.encode(errors="surrogateescape"))
    assert read_owner(file) is None
    Lock(file, "run").release()


def test_release_keeps_the_lock_of_another_owner(file: Path) -> None:
    lock = Lock(file, "run")
    write(file, ELSEWHERE)  # another machine assumed that this process was dead
    lock.release()
    assert file.exists()


def contend(file: Path, start: Any, results: Any) -> None:
    start.wait()
    try:
        lock = Lock(file, "run")
    except InUseError:
        results.put(False)
    else:
        results.put(True)
        time.sleep(1)
        lock.release()


def test_only_one_of_many_processes_takes_over_a_stale_lock(file: Path) -> None:
    write(file, dataclasses.replace(HERE, number=ended_process()))
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headstart.core.process_lock"])
    start, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=contend, args=(file, start, results)) for _ in range(8)]
    for process in processes:
        process.start()
    won = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert won.count(True) == 1
