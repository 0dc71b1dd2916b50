"""A table on disk: a row of numbers for each content, computed once, whoever needs it.

A table holds what one computation gives (the pixels of one size, the activations of one frozen part); its name is a
digest of everything that decides the computation. Each row is found by the content it was computed from. So whatever
needs the same numbers finds them (another epoch, stage, job, split, fraction, fold), and nothing else does.
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
LEAST_ROWS = 512  # of a segment: what is lost when the computing process is killed
MOST_SEGMENTS = 128  # of what is computed at once

# From positions among the keys that are missing to their rows, batch after batch in that order.
Compute = Callable[[np.ndarray], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Rows:
    """Rows of a table in the order they were asked for, read from disk as they are needed."""

    segments: list[Segment]
    places: np.ndarray  # int (n, 2): segment and row
    shape: tuple[int, ...]  # of one row
    dtype: np.dtype

    def __len__(self) -> int:
        return len(self.places)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Return some rows, (m, ...).

        Args:
            positions: int (m,).
        """
        rows = np.empty((len(positions), *self.shape), self.dtype)
        for row, position in zip(rows, positions, strict=True):
            segment, number = self.places[position]
            self.segments[segment].read_into(int(number), row)
        return rows

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield some rows for each array of positions, while the next ones are being read."""
        with ThreadPoolExecutor(1) as thread:
            ahead: Future[np.ndarray] | None = None
            for positions in order:
                ready, ahead = ahead, thread.submit(self.read, positions)
                if ready is not None:
                    yield ready.result()
            if ahead is not None:
                yield ahead.result()


@dataclass
class Table:
    """One computation's rows.

    Args:
        directory: its own.
        description: everything that decides the numbers, as JSON.
        shape: of one row.
        dtype: of the numbers.
        make_room: called with the bytes that are about to be written.
        checked: segments that this process has read as a whole; shared by all tables of a cache.
    """

    directory: Path
    description: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype
    make_room: Callable[[int], None]
    checked: set[Path] = field(default_factory=set, repr=False)
    computed: int = 0  # rows, by this process
    reused: int = 0
    bytes_estimated: int = 0  # before rows were computed
    bytes_written: int = 0
    _open: dict[Path, Segment] = field(default_factory=dict, repr=False)  # those with rows that were asked for

    @property
    def row_bytes(self) -> int:
        """What a row takes on disk."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Return the keys without a row, each once, in their order."""
        found = self._find(keys)
        return [key for key in dict.fromkeys(keys) if key not in found]

    def rows(self, keys: Sequence[str], compute: Compute) -> Rows:
        """Return a row for each key; what is missing is computed here, or by the process that is at it already.

        Args:
            keys: of the content, any number of times each.
            compute: called at most once, with the positions among `keys` of what is missing.

        Raises:
            NotCachedError: when the disk is full; what was written in vain is removed.
        """
        wanted = list(dict.fromkeys(keys))
        found = self._find(wanted)
        absent = [key for key in wanted if key not in found]
        if absent:
            with self._locked():
                remove_leftovers(self.directory)
                found = self._find(wanted)  # another process may have computed them while this one waited
                absent = [key for key in wanted if key not in found]
                _touch(found)  # what is about to be read does not make room for the rest
                if absent:
                    self._add(absent, keys, compute)
            found = self._find(wanted)
        self.computed += len(absent)
        self.reused += len(wanted) - len(absent)
        what = self.description.get("what")
        log_event(LOG, "cache used", what=what, computed=len(absent), reused=len(wanted) - len(absent))
        _touch(found)
        files = sorted({file for file, _ in found.values()})
        number = {file: position for position, file in enumerate(files)}
        places = np.array([(number[found[key][0]], found[key][1]) for key in keys], np.int64).reshape(-1, 2)
        return Rows([self._open[file] for file in files], places, self.shape, self.dtype)

    def damaged(self) -> Iterator[tuple[Path, str]]:
        """Read every segment, and yield the file of each that is not what was written, with what is wrong."""
        for file in segment_files(self.directory):
            try:
                open_segment(file, self.row_bytes).close()
            except FileNotFoundError:
                if file.with_suffix(".json").exists():  # else another process has removed it since it was listed
                    yield file, f"{file} is missing"
            except DamagedError as error:
                yield file, str(error)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the table's lock; the system takes it from a process that dies."""
        lock = FileLock(self.directory / "lock")
        said = False
        while not lock.is_locked:
            self.directory.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # somebody removed the empty table in between
                try:
                    lock.acquire(blocking=said)
                except Timeout:
                    console.print("  another process computes the same already: waiting for it", soft_wrap=True)
                    said = True
        try:
            yield
        finally:
            lock.release()

    def _add(self, absent: list[str], keys: Sequence[str], compute: Compute) -> None:
        """Compute rows and write them, a segment at a time."""
        needed = len(absent) * self.row_bytes
        self.bytes_estimated += needed
        self.make_room(needed)
        try:
            write_text(self.directory / "table.json", json.dumps(self._head(), indent=2, sort_keys=True) + "\n")
        except OSError as error:
            raise NotCachedError(f"Expected table.json to be written to {self.directory}. Received: {error}") from error
        first = {key: position for position, key in reversed(list(enumerate(keys)))}
        size = max(LEAST_ROWS, -(-len(absent) // MOST_SEGMENTS))
        waiting: list[np.ndarray] = []
        new: list[Path] = []
        written = 0
        for batch in compute(np.array([first[key] for key in absent], np.int64)):
            waiting.append(np.asarray(batch, self.dtype))
            while (ready := sum(map(len, waiting))) >= size or (ready and written + ready == len(absent)):
                rows = np.ascontiguousarray(np.concatenate(waiting))
                try:
                    segment = write_segment(self.directory, absent[written : written + len(rows[:size])], rows[:size])
                except NotCachedError:  # the run goes on without these rows, and has a use for their place
                    for file in new:
                        remove_segment(file)
                        self._open.pop(file).close()
                    raise
                new.append(segment.file)
                self._open[segment.file] = segment
                self.checked.add(segment.file)
                self.bytes_written += rows[:size].nbytes
                written += len(rows[:size])
                waiting = [rows[size:]]
        if written != len(absent):
            raise ValueError(f"Expected {len(absent)} computed rows. Received: {written}")

    def _find(self, keys: Iterable[str]) -> dict[str, tuple[Path, int]]:
        """Return segment and row of each of the keys that is on disk; damaged segments are removed, and said.

        Only segments that hold one of the keys are opened and checked: others' data may lie in the same table.
        """
        wanted = set(keys)
        for file in segment_files(self.directory):
            if file in self._open:
                continue
            try:
                if not wanted.isdisjoint(read_keys(file)):
                    self._open[file] = open_segment(file, self.row_bytes, check=file not in self.checked)
                    self.checked.add(file)
            except FileNotFoundError:
                continue  # removed by another process since it was listed
            except DamagedError as error:
                console.print(f"  cache: {error}: it is computed again", markup=False, soft_wrap=True)
                LOG.warning("cache: %s: it is computed again", error)
                remove_segment(file)
        return {
            key: (file, row)
            for file, segment in self._open.items()
            for row, key in enumerate(segment.keys)
            if key in wanted
        }

    def _head(self) -> dict[str, Any]:
        return {"description": self.description, "shape": list(self.shape), "dtype": str(self.dtype)}


def digest(description: dict[str, Any]) -> str:
    """Return the name of the table of a computation."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _touch(found: dict[str, tuple[Path, int]]) -> None:
    """Note that segments are used: the least recently used one is the first to go."""
    for file in {file for file, _ in found.values()}:
        with contextlib.suppress(FileNotFoundError):  # removed by another process; it is held and can still be read
            os.utime(file)
