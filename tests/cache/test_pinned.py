"""What is read is kept without being open, whoever removes it; and nothing is left of processes that are gone."""

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

# Holds 300 segments with 64 files that may be open, says so, and reads all of them in turn when it is told to.
READER = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import numpy as np
from worker import computing, keys_of, table_in, values_of
from headstart.cache import table
table.LEAST_ROWS, table.MOST_SEGMENTS = 1, 300
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
    """Return a process that holds the rows of a table and waits for a line."""
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
    """Send a line to a process and return the one that it prints."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_what_another_process_removes_is_read_to_the_end_with_few_open_files(tmp_path: Path) -> None:
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
    assert not (tmp_path / pinned.READING).exists()


def test_what_a_killed_process_held_is_removed_by_the_next_one(tmp_path: Path) -> None:
    process = reader(tmp_path)
    [left] = (tmp_path / pinned.READING).glob("*/")
    assert len(list(left.iterdir())) == 300
    Cache(tmp_path, 1e9).prune()
    assert left.exists()  # by a process that lives
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    Cache(tmp_path, 1e9).prune()
    assert not (tmp_path / pinned.READING).exists()


def hold_and_end(directory: Path) -> None:
    """Be a process that still holds rows when it ends."""
    keys = keys_of(10)
    table_module.kept = table_in(directory).rows(keys, computing(keys))  # type: ignore[attr-defined]
    assert len(list((directory / pinned.READING).glob("*/*"))) == 1


def test_a_process_of_a_sweep_leaves_nothing_behind(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=hold_and_end, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert not (tmp_path / pinned.READING).exists()


def test_a_disk_without_hard_links_keeps_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    keys = keys_of(10)
    rows = table_in(tmp_path).rows(keys, computing(keys))
    Cache(tmp_path, 0).prune()
    np.testing.assert_array_equal(rows.read(np.arange(10)), values_of(keys))
    assert not (tmp_path / pinned.READING).exists()


def test_a_cache_that_somebody_removes_as_a_whole_is_named(tmp_path: Path) -> None:
    keys = keys_of(10)
    rows = table_in(tmp_path).rows(keys, computing(keys))
    for link in (tmp_path / pinned.READING).glob("*/*"):
        link.unlink()
    with pytest.raises(HeadstartError, match="Expected the cache to stay where a run reads it"):
        rows.read(np.arange(10))
