"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_NAME = 80  # letters of a name within a file name, of which file systems take 255 bytes


def file_name(name: str) -> str:
    """Return a name from a configuration as part of a file name, with a digest where it cannot stand as it is.

    Args:
        name: any text; letters, digits, `_`, `-` and `.` stay.
    """
    safe = re.sub(r"[^\w.-]+", "_", name)[:LONGEST_NAME]
    return safe if safe == name else f"{safe}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: under a temporary name, flushed to disk, then renamed.

    Args:
        path: where to; its directory must exist.
        text: the content, written as UTF-8. What UTF-8 cannot hold, as in a file name of another encoding, is written
            as an escape that JSON reads back.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented; NaN is refused, because JSON has none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of another one at the end, or vanishes when something fails.

    Args:
        directory: the place; what is there stays until the new one is complete.
    """
    partial, replaced = (directory.with_name(f".{directory.name}.{os.getpid()}.{what}") for what in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        yield partial
        if directory.exists():
            directory.rename(replaced)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)
