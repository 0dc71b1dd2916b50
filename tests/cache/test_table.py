"""Each row is computed once, whichever process needs it first, and damaged rows are recomputed."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from worker import SHAPE, computing, keys_of, table_in, values_of

from headstart.cache import pinned
from headstart.cache import table as table_module
from headstart.cache.segments import open_segment, segment_files
from headstart.cache.store import Cache
from headstart.core.errors import HeadstartError

WORKER = Path(__file__).with_name("worker.py")
ROW = 4 * SHAPE[0]  # bytes
SEGMENT = 4  # rows of a small segment


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MIN_SEGMENT_ROWS", SEGMENT)


def never(positions: np.ndarray) -> Iterator[np.ndarray]:
    raise AssertionError(f"computed {len(positions)} rows again")


def everything(rows: table_module.Rows) -> np.ndarray:
    return rows.read(np.arange(len(rows)))


def filled(directory: Path, count: int = 10) -> list[str]:
    """Return the keys of a table that was filled by another process."""
    keys = keys_of(count)
    table_in(directory).rows(keys, computing(keys))
    return keys


def start(directory: Path, count: int, pause: float, processes: int = 1) -> list[subprocess.Popen]:
    """Start processes that fill a table at the same time."""
    command = [sys.executable, WORKER, directory, directory / "log", count, pause, SEGMENT]
    words = [str(word) for word in command]
    started = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def finish(process: subprocess.Popen) -> str:
    """Wait until a process has succeeded, and return its output."""
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def logged(directory: Path) -> Counter[str]:
    log = directory / "log"
    return Counter(log.read_text().split()) if log.exists() else Counter()


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def assert_valid(directory: Path, leftovers: bool = False) -> set[str]:
    """Check that what is there can be read and is right, and return the keys."""
    found: set[str] = set()
    [place] = [head.parent for head in directory.glob("*/table.json")]
    for file in segment_files(place):
        segment = open_segment(file, ROW)
        row = np.empty(SHAPE, np.float32)
        for number, value in enumerate(values_of(list(segment.keys))):
            segment.read_into(number, row)
            np.testing.assert_array_equal(row, value)
        assert found.isdisjoint(segment.keys)
        found |= set(segment.keys)
    if not leftovers:
        files = {file.stem for file in segment_files(place)}
        assert {file.name for file in place.iterdir()} == {
            "table.json",
            "lock",
            *(f"{stem}{suffix}" for stem in files for suffix in (".rows", ".json")),
        }
    return found


def open_files(directory: Path) -> int:
    """Return how many files below a directory this process has open, locks aside."""
    gc.collect()
    files = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return sum(file.startswith(str(directory)) and not file.endswith(".lock") for file in files)


def test_rows_have_the_order_of_the_keys(tmp_path: Path, small_segments: None) -> None:
    keys = filled(tmp_path)
    shuffled = [keys[position] for position in (7, 0, 9, 3, 3, 7)]
    rows = table_in(tmp_path).rows(shuffled, never)
    assert len(rows) == 6
    np.testing.assert_array_equal(everything(rows), values_of(shuffled))
    np.testing.assert_array_equal(rows.read(np.array([5, 1])), values_of([keys[7], keys[0]]))
    batches = list(rows.batches(iter([np.array([2, 2]), np.array([], np.int32), np.array([4])])))
    assert [batch.shape for batch in batches] == [(2, *SHAPE), (0, *SHAPE), (1, *SHAPE)]
    np.testing.assert_array_equal(batches[0], values_of([keys[9]] * 2))


def test_repeated_keys_are_computed_once(tmp_path: Path) -> None:
    a, b, c = keys_of(3)
    table, keys = table_in(tmp_path), [a, b, a, c, b, a]
    rows = table.rows(keys, computing(keys, tmp_path / "log"))
    np.testing.assert_array_equal(everything(rows), values_of(keys))
    assert logged(tmp_path) == {a: 1, b: 1, c: 1}
    assert (table.computed, table.reused, table.bytes_written) == (3, 0, 3 * ROW)


def test_only_missing_rows_are_computed(tmp_path: Path, small_segments: None) -> None:
    filled(tmp_path, 6)
    table, keys = table_in(tmp_path), keys_of(10, first=2)[::-1]
    assert table.missing(keys) == keys[:6]
    rows = table.rows(keys, computing(keys, tmp_path / "log"))
    np.testing.assert_array_equal(everything(rows), values_of(keys))
    assert sorted(logged(tmp_path)) == sorted(keys[:6])
    assert (table.computed, table.reused) == (6, 4)
    assert assert_valid(tmp_path) == set(keys_of(12))


def test_fractions_and_splits_share_rows(tmp_path: Path) -> None:
    keys = keys_of(40)
    table = table_in(tmp_path)
    for part in (keys[:10], keys[:20], keys[10:30], keys, keys[35:], keys[::3]):
        np.testing.assert_array_equal(everything(table.rows(part, computing(part, tmp_path / "log"))), values_of(part))
    assert logged(tmp_path) == dict.fromkeys(keys, 1)
    assert table.computed == 40


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_rows_of_any_type(dtype: str, tmp_path: Path) -> None:
    keys = keys_of(7)
    for compute in (computing(keys), never):
        table = table_in(tmp_path, dtype=dtype)
        rows = table.rows(keys, compute)
        assert everything(rows).dtype == rows.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(everything(rows), values_of(keys, dtype))
    [file] = segment_files(table.directory)
    assert file.stat().st_size == 7 * SHAPE[0] * np.dtype(dtype).itemsize


def test_no_keys_give_no_rows(tmp_path: Path) -> None:
    rows = table_in(tmp_path).rows([], never)
    assert len(rows) == 0
    assert everything(rows).shape == (0, *SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_another_computation_has_another_table(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    for different in (table_in(tmp_path, what="other"), table_in(tmp_path, dtype="float16")):
        assert different.missing(keys) == keys
    cache = Cache(tmp_path, 1e9)
    assert cache.table({"what": "test"}, (SHAPE[0], 1), np.dtype("float32")).missing(keys) == keys
    assert cache.table({"what": "test"}, SHAPE, np.dtype("float32")).missing(keys) == []


def test_two_processes_compute_each_row_once(tmp_path: Path) -> None:
    printed = [finish(process) for process in start(tmp_path, 60, 0.05, processes=2)]
    assert logged(tmp_path) == dict.fromkeys(keys_of(60), 1)
    assert sum("another process" in text for text in printed) == 1
    assert assert_valid(tmp_path) == set(keys_of(60))


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, small_segments: None) -> None:
    [process] = start(tmp_path, 60, 0.05)
    wait_for(lambda: len(logged(tmp_path)) >= 3 * SEGMENT)
    kill(process)
    [place] = [head.parent for head in tmp_path.glob("*/table.json")]
    for name in (".table.json.123.partial", ".0f.json.123.partial", "0f.rows"):  # what a kill may leave, whenever
        (place / name).write_bytes(b"half")
    finished = assert_valid(tmp_path, leftovers=True)
    assert len(finished) >= 2 * SEGMENT
    before, keys = logged(tmp_path), keys_of(60)
    rows = table_in(tmp_path).rows(keys, computing(keys, tmp_path / "log"))
    np.testing.assert_array_equal(everything(rows), values_of(keys))
    assert assert_valid(tmp_path) == set(keys)
    again = logged(tmp_path) - before
    assert finished.isdisjoint(again)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_at_most_one_segment(kills: int, tmp_path: Path, small_segments: None) -> None:
    chance, finished, count = random.Random(kills), set[str](), 40 * kills
    for _ in range(kills):
        before = logged(tmp_path)
        [process] = start(tmp_path, count, 0.002)
        time.sleep(chance.uniform(0, 0.15))
        kill(process)
        assert finished.isdisjoint(logged(tmp_path) - before)
        if list(tmp_path.glob("*/table.json")):
            found = assert_valid(tmp_path, leftovers=True)
            assert found >= finished
            finished = found
    before, keys = logged(tmp_path), keys_of(count)
    rows = table_in(tmp_path).rows(keys, computing(keys, tmp_path / "log"))
    np.testing.assert_array_equal(everything(rows), values_of(keys))
    assert finished.isdisjoint(logged(tmp_path) - before)
    assert assert_valid(tmp_path) == set(keys)
    assert max(logged(tmp_path).values()) <= kills + 1


def locations(file: Path) -> list[int]:
    """Return bytes of a file to change: the first, the last, and some between."""
    size = file.stat().st_size
    return sorted({0, 1, size // 3, size // 2, size - 2, size - 1, *random.Random(0).sample(range(size), 12)})


@pytest.mark.parametrize("bits", [0x01, 0x20, 0xFF])
@pytest.mark.parametrize("suffix", [".rows", ".json"])
def test_any_changed_byte_is_detected_and_recomputed(
    suffix: str, bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = filled(tmp_path / "whole")
    [whole] = (file.with_suffix(suffix) for file in (tmp_path / "whole").glob("*/*.rows"))
    for place in locations(whole):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        file = tmp_path / "copy" / whole.relative_to(tmp_path / "whole")
        content = bytearray(file.read_bytes())
        content[place] ^= bits
        file.write_bytes(content)
        assert_mended(tmp_path / "copy", keys, capsys)


@pytest.mark.parametrize("suffix", [".rows", ".json"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "longer", "of another segment", "nonsense", "infinite"])
def test_a_damaged_file_is_detected_and_recomputed(
    suffix: str, damage: str, tmp_path: Path, small_segments: None, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = filled(tmp_path, 2 * SEGMENT)
    file, other = (file.with_suffix(suffix) for file in segment_files(next(tmp_path.glob("*/"))))
    content = file.read_bytes()
    damaged = {
        "truncated": content[:-1],
        "empty": b"",
        "longer": content + b"0" * ROW,
        "of another segment": other.read_bytes(),
        "nonsense": b'["keys"]',
        "infinite": json.dumps({"keys": keys[:SEGMENT], "checksum": float("inf")}).encode(),
    }[damage]
    file.write_bytes(damaged)
    assert_mended(tmp_path, keys, capsys, SEGMENT)


def assert_mended(directory: Path, keys: list[str], capsys: pytest.CaptureFixture[str], lost: int = 10) -> None:
    """Check that a damaged segment is reported in one line and recomputed."""
    capsys.readouterr()
    table = table_in(directory)
    np.testing.assert_array_equal(everything(table.rows(keys, computing(keys))), values_of(keys))
    assert table.computed == lost
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("  cache: ")
    assert line.endswith("its rows are recomputed")
    assert assert_valid(directory) == set(keys)
    again = table_in(directory)
    np.testing.assert_array_equal(everything(again.rows(keys, never)), values_of(keys))


def test_a_segment_without_its_rows_is_recomputed(tmp_path: Path) -> None:
    keys = filled(tmp_path)
    [file] = tmp_path.glob("*/*.rows")
    file.unlink()
    np.testing.assert_array_equal(everything(table_in(tmp_path).rows(keys, computing(keys))), values_of(keys))
    assert assert_valid(tmp_path) == set(keys)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_computation_leaves_complete_segments_and_no_lock(
    error: type[BaseException], tmp_path: Path, small_segments: None
) -> None:
    keys = keys_of(20)

    def failing(positions: np.ndarray) -> Iterator[np.ndarray]:
        for number, batch in enumerate(computing(keys, batch=3)(positions)):
            if number == 3:
                raise error("in the middle")
            yield batch

    with pytest.raises(error, match="in the middle") as failure:  # its traceback holds everything it went through
        table_in(tmp_path).rows(keys, failing)
    assert assert_valid(tmp_path) == set(keys[: 2 * SEGMENT])
    finish(*start(tmp_path, 20, 0))  # another process gets the lock
    assert logged(tmp_path) == dict.fromkeys(keys[2 * SEGMENT :], 1)
    assert failure.tb is not None


@pytest.mark.parametrize("wrong", [-1, 1])
def test_too_few_or_too_many_rows_raise(wrong: int, tmp_path: Path) -> None:
    keys = keys_of(5)
    with pytest.raises(ValueError, match="Expected 5 computed rows"):
        table_in(tmp_path).rows(keys, lambda _: iter([values_of(keys_of(5 + wrong))]))
    assert table_in(tmp_path).missing(keys) == keys


def test_a_disk_that_fills_up_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_of(5)

    def full(file: Path, data: memoryview) -> None:
        with file.open("wb") as opened:
            opened.write(data[:7])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HeadstartError, match=r"cannot store 100 bytes more \(No space left on device\)"):
        table_in(tmp_path).rows(keys, computing(keys))
    monkeypatch.undo()
    assert assert_valid(tmp_path) == set()
    np.testing.assert_array_equal(everything(table_in(tmp_path).rows(keys, computing(keys))), values_of(keys))


def test_a_table_removed_while_a_process_waits_is_created_again(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    table.directory.mkdir()
    with FileLock(table.directory / "lock"):
        [process] = start(tmp_path, 10, 0)
        assert process.stdout is not None
        assert "another process" in process.stdout.readline()
        (table.directory / "lock").unlink()
        table.directory.rmdir()
    finish(process)
    assert assert_valid(tmp_path) == set(keys_of(10))


def test_segments_and_open_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MIN_SEGMENT_ROWS", 1)
    keys = keys_of(1000)
    rows = table_in(tmp_path).rows(keys, computing(keys, batch=7))
    np.testing.assert_array_equal(everything(rows), values_of(keys))
    assert len(rows.segments) == 125  # of 8 rows
    assert open_files(tmp_path) == 125
    more = [table_in(tmp_path, what=what).rows(keys, computing(keys, batch=7)) for what in "abc"]
    for other in more:
        np.testing.assert_array_equal(everything(other), values_of(keys))
    assert open_files(tmp_path) == pinned.MAX_OPEN_FILES < 500 == sum(len(each.segments) for each in [rows, *more])
    del rows, more, other
    assert open_files(tmp_path) == 0
    assert not (tmp_path / pinned.PIN_FOLDER).exists()


def test_segments_without_requested_rows_are_not_read(tmp_path: Path, small_segments: None) -> None:
    keys = filled(tmp_path, 5 * SEGMENT)
    table = table_in(tmp_path)
    rows = table.rows(keys[:SEGMENT], never)
    assert open_files(tmp_path) == len(rows.segments) == 1


def test_rows_are_read_from_disk_on_demand(tmp_path: Path) -> None:
    """Rows are neither mapped nor kept in memory, which would add up over many processes."""
    keys, shape = keys_of(600), (64, 64, 3)
    table = Cache(tmp_path, 1e9).table({"what": "large"}, shape, np.dtype("float32"))
    rows = table.rows(keys, lambda positions: (np.full((1, *shape), position) for position in positions))
    [_, held] = [segment.file.stat().st_size for segment in rows.segments]
    assert held > 4e6

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    for position in range(600):
        assert rows.read(np.array([position]))[0, 0, 0, 0] == position
    assert resident() - before < 3e6  # of 29 MB
    maps = Path("/proc/self/maps").read_text()
    assert not any(segment.file.name in maps for segment in rows.segments)
