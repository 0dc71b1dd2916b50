"""A cache of file checks: the content digest of each file and whether it is a valid image, until the file changes."""

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

# Part of the cache's keys, because another version of Pillow may decode other files, or differently.
READER = f"1, Pillow {PIL.__version__}"
FORMAT = 2  # version of the cached checks


class FileCheck(NamedTuple):
    """The result of checking one file."""

    digest: str  # SHA-256 of the content, in hexadecimal
    problem: str | None  # why the file cannot be read as an image; None if it can
    values: Values | None = None  # statistics of its values, for more than 8 bits


class FileCheckCache:
    """Checks of the files below one root, valid while a file's size and modification time stay the same."""

    def __init__(self, root: Path, directory: Path, limits: Limits) -> None:
        """Read the cache; a missing, damaged or outdated file counts as empty, and the images are checked again.

        Args:
            root: directory of the images.
            directory: of the caches of all roots.
            limits: the limits on image files, on which the checks depend.
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
        """Return the check of a file, or None if there is none for its current size and modification time."""
        match self._entries.get(path):
            case [size, time, str(digest), str() | None as problem, *values] if [size, time] == [
                status.st_size,
                status.st_mtime_ns,
            ]:
                return FileCheck(digest, problem, Values(*values) if values else None)
        return None

    def put(self, path: str, status: os.stat_result, check: FileCheck) -> None:
        """Store the check of a file."""
        values = check.values or ()
        self._entries[path] = [status.st_size, status.st_mtime_ns, check.digest, check.problem, *values]
        self._changed = True

    def save(self) -> None:
        """Write new checks to disk atomically; if that fails, warn, and the next run checks the files again."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._file, json.dumps({"head": self._head, "files": self._entries}))
        except OSError as error:
            console.print(f"  Warning: {self._file}: {error.strerror}", markup=False)
        self._changed = False
