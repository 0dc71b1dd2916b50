"""The cache stays within its limit: it evicts the least recently used segments, and readers keep theirs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from worker import SHAPE, computing, keys_of, table_in, values_of

from headstart.cache import store as store_module
from headstart.cache import table as table_module
from headstart.cache.segments import segment_files
from headstart.cache.store import SPARE_SHARE, Cache

ROW = 4 * SHAPE[0]  # bytes


def fill(directory: Path, what: str, count: int = 10, max_bytes: float = 1e9, first: int = 0) -> table_module.Rows:
    """Fill a table as another process would, and return its rows."""
    keys = keys_of(count, first)
    return table_in(directory, max_bytes, what).rows(keys, computing(keys))


def age(directory: Path, seconds: float = 60) -> None:
    """Make all segments look less recently used."""
    for file in directory.rglob("*.rows"):
        os.utime(file, (file.stat().st_mtime - seconds,) * 2)


def present(directory: Path, what: str, count: int = 10) -> int:
    """Return how many rows a table has."""
    keys = keys_of(count)
    return count - len(table_in(directory, what=what).missing(keys))


def bytes_in(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*.rows"))


def test_the_least_recently_used_is_evicted_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("a", "b"):
        fill(tmp_path, what)
        age(tmp_path)
    fill(tmp_path, "a")  # used again, so that b is the older one
    age(tmp_path)
    fill(tmp_path, "c", max_bytes=25 * ROW)
    assert [present(tmp_path, what) for what in "abc"] == [10, 0, 10]
    assert "evicted 200 bytes of the least recently used data to make room" in capsys.readouterr().out
    assert bytes_in(tmp_path) == 20 * ROW


def test_requested_rows_are_not_evicted_for_the_missing_ones(tmp_path: Path) -> None:
    for what in "ab":
        fill(tmp_path, what)
        age(tmp_path)
    fill(tmp_path, "a", count=15, max_bytes=22 * ROW)  # ten exist, less recently used than those of b
    assert [present(tmp_path, what) for what in "ab"] == [10, 0]
    assert present(tmp_path, "a", 15) == 15


def test_readers_keep_evicted_rows(tmp_path: Path) -> None:
    rows = fill(tmp_path, "a")
    age(tmp_path)
    fill(tmp_path, "b", max_bytes=10 * ROW)
    assert present(tmp_path, "a") == 0
    assert not any(segment.file.exists() for segment in rows.segments)
    np.testing.assert_array_equal(rows.read(np.arange(10)), values_of(keys_of(10)))


def test_rows_evicted_right_after_writing_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process evicts them before they have been read."""
    plain, keys = table_module.write_segment, keys_of(10)

    def removed_at_once(*arguments: object) -> object:
        segment = plain(*arguments)  # type: ignore[arg-type]
        Cache(tmp_path, 0).prune()
        return segment

    monkeypatch.setattr(table_module, "write_segment", removed_at_once)
    rows = table_in(tmp_path).rows(keys, computing(keys))
    assert bytes_in(tmp_path) == 0
    np.testing.assert_array_equal(rows.read(np.arange(10)), values_of(keys))


def test_a_segment_removed_after_listing_is_recomputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a")
    plain, keys = table_module.read_keys, keys_of(10)

    def removed_meanwhile(file: Path) -> tuple[str, ...]:
        found = plain(file)
        file.unlink()
        return found

    monkeypatch.setattr(table_module, "read_keys", removed_meanwhile)
    table = table_in(tmp_path, what="a")
    np.testing.assert_array_equal(table.rows(keys, computing(keys)).read(np.arange(10)), values_of(keys))
    assert (table.computed, table.reused) == (10, 0)


def test_nothing_is_evicted_while_there_is_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in "abc":
        fill(tmp_path, what, max_bytes=30 * ROW)
    assert [present(tmp_path, what) for what in "abc"] == [10, 10, 10]
    assert capsys.readouterr().out == ""


def test_segments_are_evicted_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MIN_SEGMENT_ROWS", 2)
    fill(tmp_path, "a")
    age(tmp_path)
    fill(tmp_path, "b", count=3, max_bytes=10 * ROW)
    assert (present(tmp_path, "a"), present(tmp_path, "b", 3)) == (6, 3)


def full_disk(monkeypatch: pytest.MonkeyPatch, directory: Path, free: float) -> None:
    usage = shutil.disk_usage(directory)._replace(free=int(free / (1 - SPARE_SHARE)) + 1)
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage)


def test_data_beyond_the_limit_or_the_disk_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path, 100 * ROW)
    assert cache.reason_not_to_cache(100 * ROW, "rows") is None
    assert cache.reason_not_to_cache(101 * ROW, "rows") == "2.0 kB of rows are more than cache.max_gb allows"
    full_disk(monkeypatch, tmp_path, 20 * ROW)
    assert cache.reason_not_to_cache(20 * ROW, "rows") is None
    assert cache.reason_not_to_cache(21 * ROW, "rows") == f"420 bytes of rows do not fit on the disk of {tmp_path}"
    fill(tmp_path, "a")  # evictable data counts as free space
    assert cache.reason_not_to_cache(30 * ROW, "rows") is None
    assert cache.reason_not_to_cache(31 * ROW, "rows") is not None


def test_a_full_disk_evicts_only_as_much_as_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in "abc":
        fill(tmp_path, what)
        age(tmp_path)
    full_disk(monkeypatch, tmp_path, 4 * ROW)
    fill(tmp_path, "d", count=12)
    assert [present(tmp_path, what) for what in "abc"] == [0, 10, 10]


def test_tables_describe_themselves(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    fill(tmp_path, "b")
    cache = Cache(tmp_path, 1e9)
    opened = [cache.open_table(directory) for directory in cache.tables()]
    assert sorted(table.description["what"] for table in opened) == ["a", "b"]
    assert all(table.missing(keys_of(11)) == keys_of(1, first=10) for table in opened)


def test_pruning_keeps_the_most_recently_used(tmp_path: Path) -> None:
    for what in "abc":
        fill(tmp_path, what)
        age(tmp_path, 100)
    assert Cache(tmp_path, 1e9).prune() == 0
    assert Cache(tmp_path, 20 * ROW).prune() == 10 * ROW
    assert [present(tmp_path, what) for what in "abc"] == [0, 10, 10]
    used = next(tmp_path.rglob("*.rows")).stat().st_mtime
    newest = max(file.stat().st_mtime for file in tmp_path.rglob("*.rows"))
    assert used <= newest
    assert Cache(tmp_path, 1e9).prune(unused_since=newest - 50) == 10 * ROW
    assert [present(tmp_path, what) for what in "abc"] == [0, 0, 10]
    assert len(list(tmp_path.iterdir())) == 1
    assert Cache(tmp_path, 0).prune() == 10 * ROW
    assert list(tmp_path.iterdir()) == []


def test_pruning_keeps_a_locked_table(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    [directory] = Cache(tmp_path, 1e9).tables()
    with FileLock(directory / "lock"):
        assert Cache(tmp_path, 0).prune() == 10 * ROW
        assert (directory / "table.json").exists()
    assert segment_files(directory) == []
    Cache(tmp_path, 0).prune()
    assert not directory.exists()
