"""The cache as a whole: its tables, its bound on the disk, what goes first when there is no room."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from rich.filesize import decimal

from headstart.cache.pinned import remove_abandoned
from headstart.cache.segments import DamagedError, remove_leftovers, remove_segment, segment_files, segment_sizes
from headstart.cache.table import Table, digest
from headstart.core.console import console
from headstart.core.full_disk import nearest_existing

SPARE = 0.1  # share of the free disk that is left to everything else


@dataclass
class Cache:
    """The tables below one directory, within a bound on the disk."""

    directory: Path
    max_bytes: float
    reserved: int = 0  # bytes of the disk that the run itself will write
    _checked: set[Path] = field(default_factory=set, repr=False)  # segments, see Table

    def reserve(self, room: dict[int, int]) -> None:
        """Leave room on the disk to what else the run writes.

        Args:
            room: bytes for each device.
        """
        self.reserved = room.get(nearest_existing(self.directory).stat().st_dev, 0)

    def table(self, description: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> Table:
        """Return the table of a computation, empty where nothing was computed yet.

        Args:
            description: everything that decides the numbers, as JSON.
            shape: of one row.
            dtype: of the numbers.
        """
        whole = {**description, "shape": list(shape), "dtype": str(dtype)}
        directory = self.directory / digest(whole)[:32]
        return Table(directory, description, shape, np.dtype(dtype), self.make_room, self._checked)

    def objection(self, needed: int, what: str) -> str | None:
        """Return why this many bytes more cannot be kept, or None when they can.

        Args:
            needed: bytes.
            what: they are, for the sentence.
        """
        if needed > self.max_bytes:
            return f"{decimal(needed)} of {what} are more than cache.max_gb allows"
        self.directory.mkdir(parents=True, exist_ok=True)
        free = self._free()
        present = sum(size for _, size, _ in self._segments())
        if needed > free + present:
            return f"{decimal(needed)} of {what} do not fit on the disk of {self.directory}"
        return None

    def make_room(self, needed: int) -> None:
        """Remove the least recently used segments until so many bytes fit; a process that reads one keeps it."""
        remove_abandoned(self.directory)
        # Measured once: what somebody still reads is given back later.
        free = self._free()
        present = sum(size for _, size, _ in self._segments())
        removed = self._remove_oldest(max(present + needed - self.max_bytes, needed - free))
        if removed:
            console.print(f"  cache: removed {decimal(removed)}, the least recently used, to make room")

    def prune(self, unused_since: float = 0) -> int:
        """Remove what is beyond the bound, and what was not used since then; return the bytes.

        Args:
            unused_since: seconds since the epoch.
        """
        present = sum(size for _, size, _ in self._segments())
        old = sum(size for used, size, _ in self._segments() if used < unused_since * 1e9)
        removed = self._remove_oldest(max(present - self.max_bytes, old))
        self.remove_empty_tables()
        return removed

    def tables(self) -> list[Path]:
        """Return the directories of all tables."""
        return sorted(head.parent for head in self.directory.glob("*/table.json"))

    def open_table(self, directory: Path) -> Table:
        """Return a table by its directory.

        Raises:
            DamagedError: when table.json is not what was written.
            FileNotFoundError: when another process has removed it.
        """
        try:
            head = json.loads((directory / "table.json").read_text(encoding="utf-8"))
            table = self.table(head["description"], tuple(head["shape"]), np.dtype(head["dtype"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{directory / 'table.json'} cannot be read") from error
        if table.directory != directory:
            raise DamagedError(f"{directory / 'table.json'} describes another table")
        return table

    def remove_empty_tables(self) -> None:
        """Remove the tables without a segment that no process holds, and what killed processes held."""
        remove_abandoned(self.directory)
        for lock in self.directory.glob("*/lock"):
            try:
                with FileLock(lock).acquire(blocking=False):
                    remove_leftovers(lock.parent)
                    if not segment_files(lock.parent):
                        (lock.parent / "table.json").unlink(missing_ok=True)
                        lock.unlink()
                        lock.parent.rmdir()
            except (Timeout, OSError):  # somebody computes, or begins to
                continue

    def _free(self) -> float:
        """Return how many bytes of the disk the cache may take beside its own."""
        return shutil.disk_usage(self.directory).free * (1 - SPARE) - self.reserved

    def _remove_oldest(self, size: float) -> int:
        """Remove the least recently used segments until so many bytes are gone, and return how many are.

        A process that reads one of them keeps it.
        """
        removed = 0
        for _, bytes_of_segment, file in sorted(self._segments()):
            if removed >= size:
                break
            remove_segment(file)
            removed += bytes_of_segment
        return removed

    def _segments(self) -> Iterator[tuple[int, int, Path]]:
        for directory in self.tables():
            yield from segment_sizes(directory)
