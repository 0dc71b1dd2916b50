"""Tables of the cache: the result of one computation for each image, computed once and found by image content.

A table holds the rows of one computation, such as the pixels at one image size or the activations of one frozen part.
Its directory is named by a digest of everything that decides the computation, and the key of a row is a digest of the
image. So another epoch, stage, job, split, fraction or fold that needs the same values finds them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from headstart.cache.segments import (
    DamagedError,
    NotCachedError,
    Segment,
    open_segment,
    read_keys,
    remove_leftovers,
    remove_segment,
    segment_files,
    write_segment,
)
from headstart.core.console import console
from headstart.core.files import write_text
from headstart.core.log import log_event

LOG = logging.getLogger(__name__)
MIN_SEGMENT_ROWS = 512  # killing a process loses at most one segment
MAX_SEGMENTS = 128  # that one call writes

# Computes the rows at some positions, in batches and in that order.
Compute = Callable[[np.ndarray], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Rows:
    """Rows of a table in the order of the requested keys, read from disk on demand."""

    segments: list[Segment]
    locations: np.ndarray  # int (n, 2): segment and row
    shape: tuple[int, ...]  # of one row
    dtype: np.dtype

    def __len__(self) -> int:
        return len(self.locations)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows at some positions, (m, ...).

        Args:
            positions: int (m,).
        """
        rows = np.empty((len(positions), *self.shape), self.dtype)
        for row, position in zip(rows, positions, strict=True):
            segment, number = self.locations[position]
            self.segments[segment].read_into(int(number), row)
        return rows

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the rows for each array of positions, reading one batch ahead."""
        with ThreadPoolExecutor(1) as thread:
            next_batch: Future[np.ndarray] | None = None
            for positions in order:
                batch, next_batch = next_batch, thread.submit(self.read, positions)
                if batch is not None:
                    yield batch.result()
            if next_batch is not None:
                yield next_batch.result()


@dataclass
class Table:
    """The cached rows of one computation.

    Args:
        directory: of this table.
        description: everything that decides the values, as JSON.
        shape: of one row.
        dtype: of the values.
        make_room: called with the number of bytes before they are written.
        verified: segments whose checksum this process has verified; shared by all tables of a cache.
    """

    directory: Path
    description: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    make_room: Callable[[int], None]
    verified: set[Path] = field(default_factory=set, repr=False)
    computed: int = 0  # rows that this process computed
    reused: int = 0  # rows that this process found in the cache
    bytes_estimated: int = 0  # before the rows were computed
    bytes_written: int = 0
    _open_segments: dict[Path, Segment] = field(default_factory=dict, repr=False)  # with requested rows

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Return the keys that have no row yet, each once, in their order."""
        found = self._find(keys)
        return [key for key in dict.fromkeys(keys) if key not in found]

    def rows(self, keys: Sequence[str], compute: Compute) -> Rows:
        """Return a row for each key; compute the missing ones, unless another process is computing them already.

        Args:
            keys: digests of the content; may repeat.
            compute: called at most once, with the positions in `keys` of the missing rows.

        Raises:
            NotCachedError: when the rows cannot be written; those that this call has written are removed.
        """
        wanted = list(dict.fromkeys(keys))
        found = self._find(wanted)
        absent = [key for key in wanted if key not in found]
        if absent:
            with self._locked():
                remove_leftovers(self.directory)
                found = self._find(wanted)  # another process may have computed them in the meantime
                absent = [key for key in wanted if key not in found]
                _mark_used(found)  # so that making room does not evict the rows that are read next
                if absent:
                    self._compute_and_write(absent, keys, compute)
            found = self._find(wanted)
        self.computed += len(absent)
        self.reused += len(wanted) - len(absent)
        what = self.description.get("what")
        log_event(LOG, "cache used", what=what, computed=len(absent), reused=len(wanted) - len(absent))
        _mark_used(found)
        files = sorted({file for file, _ in found.values()})
        number = {file: position for position, file in enumerate(files)}
        locations = np.array([(number[found[key][0]], found[key][1]) for key in keys], np.int64).reshape(-1, 2)
        return Rows([self._open_segments[file] for file in files], locations, self.shape, self.dtype)

    def damaged(self) -> Iterator[tuple[Path, str]]:
        """Verify all segments, and yield the file of each damaged one with the problem."""
        for file in segment_files(self.directory):
            try:
                open_segment(file, self.row_bytes).close()
            except FileNotFoundError:
                if file.with_suffix(".json").exists():  # else another process has removed the whole segment
                    yield file, f"{file} is missing"
            except DamagedError as error:
                yield file, str(error)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the table's lock, which the operating system releases when a process dies."""
        lock = FileLock(self.directory / "lock")
        waiting = False
        while not lock.is_locked:
            self.directory.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process removed the empty table in between
                try:
                    lock.acquire(blocking=waiting)
                except Timeout:
                    console.print("  waiting for another process that computes the same data")
                    waiting = True
        try:
            yield
        finally:
            lock.release()

    def _compute_and_write(self, absent: list[str], keys: Sequence[str], compute: Compute) -> None:
        """Compute rows and write them in segments."""
        needed = len(absent) * self.row_bytes
        self.bytes_estimated += needed
        self.make_room(needed)
        try:
            write_text(self.directory / "table.json", json.dumps(self._header(), indent=2, sort_keys=True) + "\n")
        except OSError as error:
            raise NotCachedError(f"The cache cannot write table.json to {self.directory} ({error})") from error
        first = {key: position for position, key in reversed(list(enumerate(keys)))}
        size = max(MIN_SEGMENT_ROWS, -(-len(absent) // MAX_SEGMENTS))
        pending: list[np.ndarray] = []
        new: list[Path] = []
        written = 0
        for batch in compute(np.array([first[key] for key in absent], np.int64)):
            pending.append(np.asarray(batch, self.dtype))
            while (ready := sum(map(len, pending))) >= size or (ready and written + ready == len(absent)):
                rows = np.ascontiguousarray(np.concatenate(pending))
                try:
                    segment = write_segment(self.directory, absent[written : written + len(rows[:size])], rows[:size])
                except NotCachedError:  # the run continues without these rows, and needs their disk space
                    for file in new:
                        remove_segment(file)
                        self._open_segments.pop(file).close()
                    raise
                new.append(segment.file)
                self._open_segments[segment.file] = segment
                self.verified.add(segment.file)
                self.bytes_written += rows[:size].nbytes
                written += len(rows[:size])
                pending = [rows[size:]]
        if written != len(absent):
            raise ValueError(f"Expected {len(absent)} computed rows. Received: {written}")

    def _find(self, keys: Iterable[str]) -> dict[str, tuple[Path, int]]:
        """Return the segment and row of each key that is on disk; report and remove damaged segments.

        Opens and verifies only segments with one of the keys: other data sets may have rows in the same table.
        """
        wanted = set(keys)
        for file in segment_files(self.directory):
            if file in self._open_segments:
                continue
            try:
                if not wanted.isdisjoint(read_keys(file)):
                    self._open_segments[file] = open_segment(file, self.row_bytes, verify=file not in self.verified)
                    self.verified.add(file)
            except FileNotFoundError:
                continue  # another process has removed it since it was listed
            except DamagedError as error:
                console.print(f"  cache: {error}; its rows are recomputed", markup=False)
                LOG.warning("cache: %s; its rows are recomputed", error)
                remove_segment(file)
        return {
            key: (file, row)
            for file, segment in self._open_segments.items()
            for row, key in enumerate(segment.keys)
            if key in wanted
        }

    def _header(self) -> dict[str, Any]:
        return {"description": self.description, "shape": list(self.shape), "dtype": str(self.dtype)}


def digest(description: dict[str, Any]) -> str:
    """Return the SHA-256 that names the table of a computation."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _mark_used(found: dict[str, tuple[Path, int]]) -> None:
    """Set the time of last use of segments; the least recently used one is evicted first."""
    for file in {file for file, _ in found.values()}:
        with contextlib.suppress(FileNotFoundError):  # another process has removed it; pinned, it stays readable
            os.utime(file)
