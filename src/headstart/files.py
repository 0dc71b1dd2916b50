"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
