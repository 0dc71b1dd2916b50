"""What is remembered of files that were read: content digest and whether they are images, until they change."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import PIL

from headstart.core.console import console
from headstart.core.files import write_text
from headstart.data.files.formats import FORMATS
from headstart.data.files.high_bit_depth import Values
from headstart.data.files.limits import Limits

# Another version of Pillow may read what this one could not.
READER = f"1, Pillow {PIL.__version__}"
FORMAT = 2  # of what is remembered


class FileCheck(NamedTuple):
    """What was found in one file."""

    digest: str  # SHA-256 of its bytes, in hexadecimal
    problem: str | None  # why it is no image that can be read; None when it is one
    values: Values | None = None  # what it holds when that is more than 8 bits


class FileCheckCache:
    """Verdicts on the files below one root, valid while size and modification time stay the same."""

    def __init__(self, root: Path, directory: Path, limits: Limits) -> None:
        """Read what is remembered; a file that is missing or damaged counts as empty.

        Args:
            root: directory of the images.
            directory: where the caches of all roots lie.
            limits: what a file may ask for; other limits, other verdicts.
        """
        root = root.absolute()
        self._file = directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
        self._head: dict[str, Any] = {
            "format": FORMAT,
            "reader": READER,
            "formats": list(FORMATS),
            "root": str(root),
            "limits": list(limits),
        }
        self._entries: dict[str, list] = {}
        self._changed = False
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(content, dict) and content.get("head") == self._head and isinstance(content.get("files"), dict):
            self._entries = content["files"]

    def get(self, path: str, status: os.stat_result) -> FileCheck | None:
        """Return the verdict on a file, unless there is none for its present size and modification time."""
        match self._entries.get(path):
            case [size, time, str(digest), str() | None as problem, *values] if [size, time] == [
                status.st_size,
                status.st_mtime_ns,
            ]:
                return FileCheck(digest, problem, Values(*values) if values else None)
        return None

    def put(self, path: str, status: os.stat_result, found: FileCheck) -> None:
        """Remember the verdict on a file."""
        values = found.values or ()
        self._entries[path] = [status.st_size, status.st_mtime_ns, found.digest, found.problem, *values]
        self._changed = True

    def save(self) -> None:
        """Write what is new, whole or not at all; where it cannot be written, the next run reads the files again."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._file, json.dumps({"head": self._head, "files": self._entries}))
        except OSError as error:
            console.print(f"  Warning: {self._file}: {error.strerror}", markup=False, soft_wrap=True)
        self._changed = False
