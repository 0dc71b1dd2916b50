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

from headstart.cache.segments import remove_segment, segment_files, segment_sizes
from headstart.cache.table import Table, digest
from headstart.console import console

SPARE = 0.1  # share of the free disk that is left to everything else


@dataclass
class Cache:
    """The tables below one directory, within a bound on the disk."""

    directory: Path
    max_bytes: float
    _tables: dict[str, Table] = field(default_factory=dict, repr=False)  # what is open was checked already

    def table(self, description: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype) -> Table:
        """Return the table of a computation, empty where nothing was computed yet.

        Args:
            description: everything that decides the numbers, as JSON.
            shape: of one row.
            dtype: of the numbers.
        """
        name = digest({**description, "shape": list(shape), "dtype": str(dtype)})[:32]
        if name not in self._tables:
            self._tables[name] = Table(self.directory / name, description, shape, np.dtype(dtype), self.make_room)
        return self._tables[name]

    def objection(self, needed: int, what: str) -> str | None:
        """Return why this many bytes more cannot be kept, or None when they can.

        Args:
            needed: bytes.
            what: they are, for the sentence.
        """
        if needed > self.max_bytes:
            return f"{decimal(needed)} of {what} are more than cache.max_gb allows"
        self.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free * (1 - SPARE)
        present = sum(size for _, size, _ in self._segments())
        if needed > free + present:
            return f"{decimal(needed)} of {what} do not fit on the disk of {self.directory}"
        return None

    def make_room(self, needed: int) -> None:
        """Remove the least recently used segments until so many bytes fit; a process that reads one keeps it."""
        segments = sorted(self._segments())
        kept = sum(size for _, size, _ in segments)
        removed = 0
        for _, size, file in segments:
            free = shutil.disk_usage(self.directory).free * (1 - SPARE)
            if kept + needed <= self.max_bytes and needed <= free:
                break
            kept -= size
            removed += size
            remove_segment(file)
        if removed:
            console.print(f"  cache: removed {decimal(removed)}, the least recently used, to make room")

    def tables(self) -> list[Path]:
        """Return the directories of all tables."""
        return sorted(head.parent for head in self.directory.glob("*/table.json"))

    def open_table(self, directory: Path) -> Table:
        """Return a table by its directory.

        Raises:
            ValueError, KeyError: when table.json is not what was written.
        """
        head = json.loads((directory / "table.json").read_text(encoding="utf-8"))
        shape, dtype = tuple(int(side) for side in head["shape"]), np.dtype(head["dtype"])
        return Table(directory, head["description"], shape, dtype, self.make_room)

    def remove_empty_tables(self) -> None:
        """Remove the tables without a segment that no process holds."""
        for directory in self.tables():
            lock = FileLock(directory / "lock")
            try:
                with lock.acquire(blocking=False):
                    if not segment_files(directory):
                        shutil.rmtree(directory)
            except Timeout:  # somebody computes
                continue

    def _segments(self) -> Iterator[tuple[int, int, Path]]:
        for directory in self.tables():
            yield from segment_sizes(directory)
