"""The cache directory: its tables, its size limit, and the eviction of the least recently used segments."""

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

from headstart.cache.pinned import remove_abandoned_pins
from headstart.cache.segments import DamagedError, remove_leftovers, remove_segment, segment_files, segment_sizes
from headstart.cache.table import Table, digest
from headstart.core.console import console
from headstart.core.full_disk import nearest_existing

SPARE_SHARE = 0.1  # share of the free disk space that the cache leaves to other programs


@dataclass
class Cache:
    """The tables below one directory, within a size limit."""

    directory: Path
    max_bytes: float
    reserved: int = 0  # bytes of the disk that the run itself will write
    _verified: set[Path] = field(default_factory=set, repr=False)  # segments, see Table

    def reserve(self, bytes_by_device: dict[int, int]) -> None:
        """Leave disk space for the other files of the run.

        Args:
            bytes_by_device: bytes that the run will write to each device.
        """
        self.reserved = bytes_by_device.get(nearest_existing(self.directory).stat().st_dev, 0)

    def table(self, description: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> Table:
        """Return the table of a computation, which is empty before its first use.

        Args:
            description: everything that decides the values, as JSON.
            shape: of one row.
            dtype: of the values.
        """
        key = {**description, "shape": list(shape), "dtype": str(dtype)}
        directory = self.directory / digest(key)[:32]
        return Table(directory, description, shape, np.dtype(dtype), self.make_room, self._verified)

    def reason_not_to_cache(self, needed: int, content: str) -> str | None:
        """Return why the cache cannot store so many bytes more, or None if it can.

        Args:
            needed: bytes.
            content: name of the data, for the message.
        """
        if needed > self.max_bytes:
            return f"{decimal(needed)} of {content} are more than cache.max_gb allows"
        self.directory.mkdir(parents=True, exist_ok=True)
        free = self._free()
        present = sum(size for _, size, _ in self._segments())
        if needed > free + present:
            return f"{decimal(needed)} of {content} do not fit on the disk of {self.directory}"
        return None

    def make_room(self, needed: int) -> None:
        """Evict the least recently used segments until so many bytes fit; processes that read them can continue."""
        remove_abandoned_pins(self.directory)
        # Measured once, because the space of segments that a process still reads is freed later.
        free = self._free()
        present = sum(size for _, size, _ in self._segments())
        removed = self._remove_oldest(max(present + needed - self.max_bytes, needed - free))
        if removed:
            console.print(f"  cache: evicted {decimal(removed)} of the least recently used data to make room")

    def prune(self, unused_since: float = 0) -> int:
        """Evict segments beyond the size limit or unused for some time, and return their bytes.

        Args:
            unused_since: evict what was last used before this time, in seconds since the epoch.
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
        """Return the table in a directory.

        Raises:
            DamagedError: when table.json is not the one that was written there.
            FileNotFoundError: when another process has removed it.
        """
        try:
            header = json.loads((directory / "table.json").read_text(encoding="utf-8"))
            table = self.table(header["description"], tuple(header["shape"]), np.dtype(header["dtype"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{directory / 'table.json'} cannot be read") from error
        if table.directory != directory:
            raise DamagedError(f"{directory / 'table.json'} describes another table")
        return table

    def remove_empty_tables(self) -> None:
        """Remove unlocked tables without segments, and the leftovers of killed processes."""
        remove_abandoned_pins(self.directory)
        for lock in self.directory.glob("*/lock"):
            try:
                with FileLock(lock).acquire(blocking=False):
                    remove_leftovers(lock.parent)
                    if not segment_files(lock.parent):
                        (lock.parent / "table.json").unlink(missing_ok=True)
                        lock.unlink()
                        lock.parent.rmdir()
            except (Timeout, OSError):  # another process is filling the table
                continue

    def _free(self) -> float:
        """Return by how many bytes the cache may grow without evicting anything."""
        return shutil.disk_usage(self.directory).free * (1 - SPARE_SHARE) - self.reserved

    def _remove_oldest(self, size: float) -> int:
        """Evict the least recently used segments until so many bytes are freed, and return the bytes freed."""
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
