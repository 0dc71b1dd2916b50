"""A segment: some rows of a table in one file, complete and as they were written, or not there at all.

UUID.rows  the rows, one after the other
UUID.json  the key of each row and a checksum of keys and rows; written last, so that it is what makes a segment
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

CHUNK = 1 << 20  # bytes that are read at once


class DamagedError(Exception):
    """A segment is not what was written."""


class NotCachedError(HeadstartError):
    """Rows cannot be written; they can be computed without being kept."""


@dataclass
class Segment:
    """A segment that is held; it can be read after another process has removed its files."""

    file: Path  # UUID.rows
    keys: tuple[str, ...]
    row_bytes: int
    held: PinnedFile = field(repr=False)

    def read_into(self, row: int, target: np.ndarray) -> None:
        """Read one row.

        Args:
            row: its number.
            target: C-contiguous, of the row's type and shape.
        """
        view, offset = _bytes(target), row * self.row_bytes
        if self.held.read(view, offset) != self.row_bytes:
            raise DamagedError(f"{self.file} ends within row {row}")

    def close(self) -> None:
        """Let the segment go."""
        self.held.release()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():  # where an error holds it to the end; what it holds goes with the process
            self.held.release()


def read_keys(file: Path) -> tuple[str, ...]:
    """Return the keys of a segment's rows, which nobody has checked.

    Args:
        file: UUID.rows.

    Raises:
        DamagedError: when they cannot be read.
        FileNotFoundError: when another process has removed them.
    """
    return _read_index(file)[0]


def open_segment(file: Path, row_bytes: int, check: bool = True) -> Segment:
    """Return a segment whose every byte is what was written.

    Args:
        file: UUID.rows.
        row_bytes: of one row.
        check: whether to read them all; not again what this process has checked or written.

    Raises:
        DamagedError: when it is not.
        FileNotFoundError: when another process has removed it.
    """
    keys, checksum = _read_index(file)
    segment = Segment(file, keys, row_bytes, _hold(file))
    if segment.held.size != len(keys) * row_bytes:
        raise DamagedError(f"{file} has another size")
    if check and _checksum(keys, _chunks(segment.held)) != checksum:
        raise DamagedError(f"{file} has another checksum")
    return segment


def write_segment(directory: Path, keys: Sequence[str], rows: np.ndarray) -> Segment:
    """Write rows as a new segment and return it, held: nobody can take it away before it is read.

    Args:
        directory: of the table; its lock is held.
        keys: of the rows.
        rows: (n, ...), C-contiguous.

    Raises:
        NotCachedError: when they cannot be written: others may have filled the disk.
    """
    file = directory / f"{uuid4().hex}.rows"
    data = _bytes(rows)
    held: PinnedFile | None = None
    try:
        # Not flushed to disk, which takes longer than writing: what a power cut spoils has another checksum.
        file.write_bytes(data)
        held = _hold(file)
        index = {"checksum": _checksum(keys, [data]), "keys": list(keys)}
        write_text(file.with_suffix(".json"), json.dumps(index))
    except BaseException as error:
        remove_segment(file)
        if held is not None:
            held.release()
        if not isinstance(error, OSError):
            raise
        raise NotCachedError(
            f"Expected {decimal(data.nbytes)} to be written to {directory}. Received: {error.strerror}; "
            "cache=off keeps nothing"
        ) from error
    return Segment(file, tuple(keys), data.nbytes // len(keys), held)


def remove_segment(file: Path) -> None:
    """Remove a segment, its index first: without it the rows are none."""
    file.with_suffix(".json").unlink(missing_ok=True)
    file.unlink(missing_ok=True)


def segment_files(directory: Path) -> list[Path]:
    """Return the file of rows of each complete segment of a table."""
    return sorted(index.with_suffix(".rows") for index in directory.glob("[!.]*.json") if index.name != "table.json")


def remove_leftovers(directory: Path) -> None:
    """Remove what a process that was killed left of a segment; the table's lock is held, so nobody writes one now."""
    for file in [*directory.glob("*.rows"), *segment_files(directory)]:
        if not (file.exists() and file.with_suffix(".json").exists()):
            remove_segment(file)
    for file in directory.glob(".*.partial"):
        file.unlink(missing_ok=True)


def segment_sizes(directory: Path) -> Iterator[tuple[int, int, Path]]:
    """Yield when each segment of a table was used last (ns), its bytes and its file of rows."""
    for file in segment_files(directory):
        with contextlib.suppress(FileNotFoundError):  # removed by another process since it was listed
            status = file.stat()
            yield status.st_mtime_ns, status.st_size, file


def _bytes(numbers: np.ndarray) -> memoryview:
    """Return the memory of a C-contiguous array."""
    return numbers.reshape(-1).view(np.uint8).data


def _read_index(file: Path) -> tuple[tuple[str, ...], int]:
    """Return keys and checksum."""
    try:
        index = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return tuple(index["keys"]), index["checksum"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{file.with_suffix('.json')} cannot be read") from error


def _checksum(keys: Sequence[str], chunks: Iterable[bytes | memoryview]) -> int:
    """Return a number that another key or another byte would change."""
    checksum = zlib.crc32(json.dumps(list(keys)).encode())
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
    return checksum


def _hold(file: Path) -> PinnedFile:
    """Hold the rows of a segment of a table, whose directory is one of the cache's."""
    return PinnedFile(file, file.parent.parent)


def _chunks(held: PinnedFile) -> Iterator[memoryview]:
    """Yield the bytes of a file."""
    buffer, offset = memoryview(bytearray(CHUNK)), 0
    while count := held.read(buffer, offset):
        yield buffer[:count]
        offset += count
