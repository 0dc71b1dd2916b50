"""Pinned files stay readable without being open, and processes leave no links behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from worker import computing, keys_of, table_in, values_of

from headstart.cache import pinned
from headstart.cache import table as table_module
from headstart.cache.segments import segment_files
from headstart.cache.store import Cache
from headstart.core.errors import HeadstartError

# Pins 300 segments with a limit of 64 open files, prints a line, and reads all of them once it receives a line.
READER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import numpy as np
from worker import computing, keys_of, table_in, values_of
from headstart.cache import table
table.MIN_SEGMENT_ROWS, table.MAX_SEGMENTS = 1, 300
keys = keys_of(300)
rows = table_in(Path(sys.argv[1])).rows(keys, computing(keys))
assert len(rows.segments) == 300
print("ready", flush=True)
sys.stdin.readline()
for order in (np.arange(300), np.arange(300)[::-1]):
    np.testing.assert_array_equal(rows.read(order), values_of([keys[position] for position in order]))
print("read", len(list(Path("/proc/self/fd").iterdir())), flush=True)
sys.stdin.readline()
"""


def reader(directory: Path) -> subprocess.Popen[str]:
    """Return a process that pins the rows of a table and waits for a line."""
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(directory)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def answer(process: subprocess.Popen[str]) -> str:
    """Send a line to a process and return its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_segments_that_another_process_removed_are_read_with_few_open_files(tmp_path: Path) -> None:
    process = reader(tmp_path)
    [table] = Cache(tmp_path, 1e9).tables()
    assert len(segment_files(table)) == 300
    Cache(tmp_path, 0).prune()
    assert segment_files(table) == []
    word, files = answer(process).split()
    assert word == "read"
    assert int(files) < 40
    process.communicate("go\n", timeout=60)
    assert process.returncode == 0
    assert not (tmp_path / pinned.PIN_FOLDER).exists()


def test_the_links_of_a_killed_process_are_removed_by_the_next_one(tmp_path: Path) -> None:
    process = reader(tmp_path)
    [left] = (tmp_path / pinned.PIN_FOLDER).glob("*/")
    assert len(list(left.iterdir())) == 300
    Cache(tmp_path, 1e9).prune()
    assert left.exists()  # the process is alive
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    Cache(tmp_path, 1e9).prune()
    assert not (tmp_path / pinned.PIN_FOLDER).exists()


def pin_and_exit(directory: Path) -> None:
    """Run as a process that still pins rows when it ends."""
    keys = keys_of(10)
    table_module.kept = table_in(directory).rows(keys, computing(keys))  # type: ignore[attr-defined]
    assert len(list((directory / pinned.PIN_FOLDER).glob("*/*"))) == 1


def test_a_process_of_a_sweep_leaves_no_links_behind(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=pin_and_exit, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert not (tmp_path / pinned.PIN_FOLDER).exists()


def test_files_stay_open_on_a_disk_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    keys = keys_of(10)
    rows = table_in(tmp_path).rows(keys, computing(keys))
    Cache(tmp_path, 0).prune()
    np.testing.assert_array_equal(rows.read(np.arange(10)), values_of(keys))
    assert not (tmp_path / pinned.PIN_FOLDER).exists()


def test_a_removed_cache_is_reported(tmp_path: Path) -> None:
    keys = keys_of(10)
    rows = table_in(tmp_path).rows(keys, computing(keys))
    for link in (tmp_path / pinned.PIN_FOLDER).glob("*/*"):
        link.unlink()
    with pytest.raises(HeadstartError, match=r"The cache was removed while this run was reading it: .* is gone"):
        rows.read(np.arange(10))
