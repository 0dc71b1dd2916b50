"""Segments: files with some rows of a table, protected by a checksum.

UUID.rows  the rows, one after the other
UUID.json  the index: the key of each row, and a checksum of keys and rows. It is written last and completes the segment
"""

from __future__ import annotations

import contextlib
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
from rich.filesize import decimal

from headstart.cache.pinned import PinnedFile
from headstart.core.errors import HeadstartError
from headstart.core.files import write_text

CHUNK = 1 << 20  # bytes per read


class DamagedError(Exception):
    """A file of the cache does not hold what was written to it."""


class NotCachedError(HeadstartError):
    """Rows cannot be written to the cache; the run can compute them without it."""


@dataclass
class Segment:
    """A pinned segment, which stays readable after another process has removed its files."""

    file: Path  # UUID.rows
    keys: tuple[str, ...]
    row_bytes: int
    pinned: PinnedFile = field(repr=False)

    def read_into(self, row: int, target: np.ndarray) -> None:
        """Read one row into an array.

        Args:
            row: number of the row.
            target: C-contiguous array of the row's type and shape.
        """
        view, offset = _raw_bytes(target), row * self.row_bytes
        if self.pinned.read(view, offset) != self.row_bytes:
            raise DamagedError(f"{self.file} ends within row {row}")

    def close(self) -> None:
        """Unpin the segment."""
        self.pinned.release()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():  # at the end of the process the links are removed anyway
            self.pinned.release()


def read_keys(file: Path) -> tuple[str, ...]:
    """Return the keys of a segment's rows without verifying the checksum.

    Args:
        file: UUID.rows.

    Raises:
        DamagedError: when the index cannot be read.
        FileNotFoundError: when another process has removed the segment.
    """
    return _read_index(file)[0]


def open_segment(file: Path, row_bytes: int, verify: bool = True) -> Segment:
    """Pin a segment, verify it and return it.

    Args:
        file: UUID.rows.
        row_bytes: bytes of one row.
        verify: whether to read the whole file and compare its checksum.

    Raises:
        DamagedError: when the segment does not hold what was written.
        FileNotFoundError: when another process has removed it.
    """
    keys, checksum = _read_index(file)
    segment = Segment(file, keys, row_bytes, _pin(file))
    if segment.pinned.size != len(keys) * row_bytes:
        raise DamagedError(f"{file} has the wrong size")
    if verify and _checksum(keys, _read_chunks(segment.pinned)) != checksum:
        raise DamagedError(f"{file} has the wrong checksum")
    return segment


def write_segment(directory: Path, keys: Sequence[str], rows: np.ndarray) -> Segment:
    """Write rows as a new segment, and return it pinned, so that no process can evict it before it is read.

    Args:
        directory: of the table, whose lock the caller holds.
        keys: one for each row.
        rows: (n, ...), C-contiguous.

    Raises:
        NotCachedError: when the rows cannot be written, for example because the disk is full.
    """
    file = directory / f"{uuid4().hex}.rows"
    data = _raw_bytes(rows)
    pinned: PinnedFile | None = None
    try:
        # Not flushed to disk, which takes longer than writing; the checksum reveals what a power cut damages.
        file.write_bytes(data)
        pinned = _pin(file)
        index = {"checksum": _checksum(keys, [data]), "keys": list(keys)}
        write_text(file.with_suffix(".json"), json.dumps(index))
    except BaseException as error:
        remove_segment(file)
        if pinned is not None:
            pinned.release()
        if not isinstance(error, OSError):
            raise
        raise NotCachedError(
            f"The cache in {directory} cannot store {decimal(data.nbytes)} more ({error.strerror}); "
            "cache=off runs without a cache"
        ) from error
    return Segment(file, tuple(keys), data.nbytes // len(keys), pinned)


def remove_segment(file: Path) -> None:
    """Remove a segment: first the index, without which the rows do not count."""
    file.with_suffix(".json").unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def segment_files(directory: Path) -> list[Path]:
    """Return the UUID.rows of each complete segment of a table."""
    return sorted(index.with_suffix(".rows") for index in directory.glob("[!.]*.json") if index.name != "table.json")


def remove_leftovers(directory: Path) -> None:
    """Remove incomplete segments of killed processes; the caller holds the table's lock, so none is being written."""
    for file in [*directory.glob("*.rows"), *segment_files(directory)]:
        if not (file.exists() and file.with_suffix(".json").exists()):
            remove_segment(file)
    for file in directory.glob(".*.partial"):
        file.unlink(missing_ok=True)


def segment_sizes(directory: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield the time of last use (ns), the size (bytes) and the UUID.rows of each segment of a table."""
    for file in segment_files(directory):
        with contextlib.suppress(FileNotFoundError):  # another process has removed it since it was listed
            status = file.stat()
            yield status.st_mtime_ns, status.st_size, file


def _raw_bytes(numbers: np.ndarray) -> memoryview:
    """Return the memory of a C-contiguous array as bytes."""
    return numbers.reshape(-1).view(np.uint8).data


def _read_index(file: Path) -> tuple[tuple[str, ...], int]:
    """Return the keys and the checksum in a segment's index."""
    try:
        index = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return tuple(index["keys"]), index["checksum"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{file.with_suffix('.json')} cannot be read") from error


def _checksum(keys: Sequence[str], chunks: Iterable[bytes | memoryview]) -> int:
    """Return the CRC-32 of keys and rows."""
    checksum = zlib.crc32(json.dumps(list(keys)).encode())
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
    return checksum


def _pin(file: Path) -> PinnedFile:
    """Pin the UUID.rows of a segment."""
    return PinnedFile(file, file.parent.parent)


def _read_chunks(pinned: PinnedFile) -> Iterator[memoryview]:
    """Yield the bytes of a file in chunks."""
    buffer, offset = memoryview(bytearray(CHUNK)), 0
    while count := pinned.read(buffer, offset):
        yield buffer[:count]
        offset += count
