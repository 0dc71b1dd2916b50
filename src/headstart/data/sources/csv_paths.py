"""Finds the file for a path in a table, tolerating blanks, backslashes and other encodings of accents."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from headstart.data.label_spelling import normalize_name


class FileFinder:
    """Finds the files of a table below a root, and counts those that are spelled differently on disk.

    Args:
        root: directory that the paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backslashes = 0
        self.accents = 0
        self._names: dict[str, dict[str, list[str]]] = {}  # of each listed directory, by normalized name

    def find(self, path: str) -> str | None:
        """Return the path of the file relative to the root; None if there is no file or several match."""
        if self._is_file(path):
            return path
        stripped = path.strip()
        if self._is_file(stripped):
            return stripped
        slashes = stripped.replace("\\", "/")
        found = slashes if self._is_file(slashes) else self._with_other_accents(slashes)
        if found is None:
            return None
        self.backslashes += "\\" in stripped
        self.accents += found != slashes
        return found

    def hint(self, path: str) -> str:
        """Return a missing path, with a similar file in the same directory if there is one."""
        wanted = PurePosixPath(path.strip().replace("\\", "/"))
        if ".." in wanted.parts:
            return path
        names = sorted(name for listed in self._listed(str(wanted.parent)).values() for name in listed)
        for name in names:
            is_similar = name.casefold() == wanted.name.casefold() or PurePosixPath(name).stem == wanted.name
            if is_similar and name != wanted.name and self._is_file(str(wanted.with_name(name))):
                return f"{path} (there is {name})"
        return path

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each kind of difference between table and disk."""
        found = []
        if self.backslashes:
            found.append(f"Backslashes in paths of the table were read as slashes ({self.backslashes:,})")
        if self.accents:
            found.append(f"File names whose accents the table encodes differently were matched ({self.accents:,})")
        return tuple(found)

    def _is_file(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.root, path))

    def _with_other_accents(self, path: str) -> str | None:
        """Return the path that differs only in the encoding of accents; None if there is none or several match."""
        parts = PurePosixPath(path).parts
        if path.isascii() or path.startswith("/") or ".." in parts:
            return None
        found = ""
        for part in parts:
            names = self._listed(found).get(normalize_name(part), [])
            exact = [name for name in names if name == part] or names
            if len(exact) != 1:
                return None
            found = f"{found}/{exact[0]}" if found else exact[0]
        return found if self._is_file(found) else None

    def _listed(self, directory: str) -> dict[str, list[str]]:
        """Return the names in a directory by normalized name; empty if it cannot be read."""
        if directory not in self._names:
            names: dict[str, list[str]] = defaultdict(list)
            try:
                for name in os.listdir(os.path.join(self.root, directory)):
                    names[normalize_name(name)].append(name)
            except (OSError, ValueError):
                names.clear()
            self._names[directory] = names
        return self._names[directory]
