"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from headstart.core.full_disk import naming_full_disk

LONGEST_FILE_NAME = 255  # bytes, on every usual file system
LONGEST_NAME = 80  # letters of a name within a file name
LONGEST_NAME_BYTES = 160  # which leaves room for what stands before and behind it


def file_name(name: str) -> str:
    """Return a name from a configuration as part of a file name, with a digest where it cannot stand as it is.

    Args:
        name: any text; letters, digits, `_`, `-` and `.` stay.
    """
    safe = cut_to_bytes(re.sub(r"[^\w.-]+", "_", name)[:LONGEST_NAME], LONGEST_NAME_BYTES)
    return safe if safe == name else f"{safe}_{_digest(name)}"


def cut_to_bytes(name: str, limit: int) -> str:
    """Return the longest beginning of a name that takes at most so many bytes in the file system.

    Args:
        name: of a file; may hold bytes that are no text, as `os.listdir` returns them.
        limit: bytes, as file systems count; a letter takes up to four.
    """
    while len(os.fsencode(name)) > limit:
        name = name[:-1]
    return name


def _temporary(path: Path, what: str) -> Path:
    """Return a hidden place beside another one, of this process alone, whose name the file system takes."""
    ending = f".{os.getpid()}.{what}"
    room = LONGEST_FILE_NAME - len(f".{ending}")
    name = path.name
    if len(os.fsencode(name)) > room:
        name = f"{cut_to_bytes(name, room - 9)}-{_digest(name)}"
    return path.with_name(f".{name}{ending}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to that takes the place of another one at the end, or vanishes when something fails.

    It has a temporary name until it is complete and on disk; a power cut leaves the old file or the new one.

    Args:
        path: the place; its directory must exist.
    """
    temporary = _temporary(path, "partial")
    try:
        with naming_full_disk(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, see `new_file`.

    Args:
        path: where to; its directory must exist.
        text: the content, written as UTF-8. What UTF-8 cannot hold, as in a file name of another encoding, is written
            as an escape that JSON reads back.
    """
    with new_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[TextIO]:
    """Yield a CSV file to be written, which is there when it is complete; see `new_file`.

    Args:
        path: where to; file names of another encoding go through as they are.
    """
    with new_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented; NaN is refused, because JSON has none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of another one at the end, or vanishes when something fails.

    Args:
        directory: the place; what is there stays until the new one is complete.
    """
    partial, replaced = (_temporary(directory, what) for what in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        with naming_full_disk(directory):
            yield partial
            for place in [*partial.rglob("*"), partial]:
                _to_disk(place)
            if directory.exists():
                directory.rename(replaced)
            partial.rename(directory)
            _to_disk(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


def remove_partial(directory: Path) -> None:
    """Remove what a process that was killed had begun to write in a directory, where nobody else writes now.

    Args:
        directory: looked at without its subdirectories.
    """
    for left in directory.glob(".*"):
        if left.suffix in (".partial", ".old") and left.is_dir():
            shutil.rmtree(left)
        elif left.suffix == ".partial":
            left.unlink()


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on disk."""
    if path.is_dir() and os.name == "nt":  # Windows opens no directories
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
