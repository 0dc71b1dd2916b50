"""Atomic writing of files and directories: readers see the old version or the new one, never half of it."""

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

from headstart.core.full_disk import full_disk_errors_name

MAX_FILE_NAME_BYTES = 255  # on all common file systems
MAX_NAME_LENGTH = 80  # characters of a name within a file name
MAX_NAME_BYTES = 160  # of a name within a file name; leaves room for a prefix and a suffix


def file_name(name: str) -> str:
    """Return a name from a configuration as a safe part of a file name.

    Args:
        name: any text. Characters other than letters, digits, `_`, `-` and `.` are replaced, long names are cut, and
            changed names end with a digest that keeps them unique.
    """
    safe = truncate_to_bytes(re.sub(r"[^\w.-]+", "_", name)[:MAX_NAME_LENGTH], MAX_NAME_BYTES)
    return safe if safe == name else f"{safe}_{_digest(name)}"


def truncate_to_bytes(name: str, limit: int) -> str:
    """Cut a file name, between characters, to a number of bytes.

    Args:
        name: of a file; may contain undecodable bytes as `os.listdir` returns them.
        limit: bytes in the file system's encoding, where a character takes up to four.
    """
    while len(os.fsencode(name)) > limit:
        name = name[:-1]
    return name


def _temporary_path(path: Path, suffix: str) -> Path:
    """Return a hidden path beside another one, unique to this process and within the limit of file names."""
    ending = f".{os.getpid()}.{suffix}"
    limit = MAX_FILE_NAME_BYTES - len(f".{ending}")
    name = path.name
    if len(os.fsencode(name)) > limit:
        name = f"{truncate_to_bytes(name, limit - 9)}-{_digest(name)}"
    return path.with_name(f".{name}{ending}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that replaces `path` when the context ends, and is removed when it fails.

    The file has a temporary name until it is complete and on disk; a power cut leaves the old file or the new one.

    Args:
        path: the final path; its directory must exist.
    """
    temporary = _temporary_path(path, "partial")
    try:
        with full_disk_errors_name(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, see `atomic_file`.

    Args:
        path: the file; its directory must exist.
        text: the content, written as UTF-8. Characters that UTF-8 cannot encode, such as undecodable bytes of a file
            name, are written as escapes that JSON reads back.
    """
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def open_csv(path: Path) -> Iterator[TextIO]:
    """Yield a CSV file to write to, which appears when it is complete; see `atomic_file`.

    Args:
        path: the file. Undecodable bytes in file names are written unchanged.
    """
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        try:
            yield text
        finally:
            text.detach()


def write_json(path: Path, content: Any) -> None:
    """Write an indented JSON file atomically; NaN, which JSON lacks, raises a ValueError."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def atomic_directory(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that replaces `directory` when the context ends, and is removed when it fails.

    Args:
        directory: the final path; an existing directory stays until the new one is complete.
    """
    partial, replaced = (_temporary_path(directory, suffix) for suffix in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        with full_disk_errors_name(directory):
            yield partial
            for path in [*partial.rglob("*"), partial]:
                _fsync(path)
            if directory.exists():
                directory.rename(replaced)
            partial.rename(directory)
            _fsync(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


def remove_partial_files(directory: Path) -> None:
    """Remove the temporary files that killed processes left in a directory; no process may be writing there.

    Args:
        directory: the directory; its subdirectories are not searched.
    """
    for leftover in directory.glob(".*"):
        if leftover.suffix in (".partial", ".old") and leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.suffix == ".partial":
            leftover.unlink()


def _fsync(path: Path) -> None:
    """Flush a file, or the entries of a directory, to disk."""
    if path.is_dir() and os.name == "nt":  # Windows cannot open directories
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
