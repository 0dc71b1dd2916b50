"""The file that a path of a table means: by its exact name, else without blanks, with slashes, with other accents."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

from headstart.data.label_spelling import spelled


class FileFinder:
    """Finds the files of a table below one root, and counts those that are not spelled as on the disk.

    Args:
        root: directory that the paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backslashes = 0
        self.accents = 0
        self._names: dict[str, dict[str, list[str]]] = {}  # of each directory that was looked into

    def find(self, path: str) -> str | None:
        """Return the path of the one file that is meant, relative to the root; None when there is no such file."""
        if self._is_file(path):
            return path
        stripped = path.strip()
        if self._is_file(stripped):
            return stripped
        slashes = stripped.replace("\\", "/")
        found = slashes if self._is_file(slashes) else self._otherwise_encoded(slashes)
        if found is None:
            return None
        self.backslashes += "\\" in stripped
        self.accents += found != slashes
        return found

    def hint(self, path: str) -> str:
        """Return a path that is not there, with a file beside it that may be meant."""
        wanted = PurePosixPath(path.strip().replace("\\", "/"))
        if ".." in wanted.parts:
            return path
        names = sorted(name for listed in self._listed(str(wanted.parent)).values() for name in listed)
        for name in names:
            alike = name.casefold() == wanted.name.casefold() or PurePosixPath(name).stem == wanted.name
            if alike and name != wanted.name and self._is_file(str(wanted.with_name(name))):
                return f"{path} (there is {name})"
        return path

    def notes(self) -> tuple[str, ...]:
        """Return what was not as in the table, one sentence each."""
        found = []
        if self.backslashes:
            found.append(f"Backslashes in paths of the table were read as slashes ({self.backslashes:,})")
        if self.accents:
            found.append(
                f"Files were found whose names have the accents of the table in another encoding ({self.accents:,})"
            )
        return tuple(found)

    def _is_file(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.root, path))

    def _otherwise_encoded(self, path: str) -> str | None:
        """Return the one path whose names are the same text, with composed or decomposed accents."""
        parts = PurePosixPath(path).parts
        if path.isascii() or path.startswith("/") or ".." in parts:
            return None
        found = ""
        for part in parts:
            names = self._listed(found).get(spelled(part), [])
            exact = [name for name in names if name == part] or names
            if len(exact) != 1:
                return None
            found = f"{found}/{exact[0]}" if found else exact[0]
        return found if self._is_file(found) else None

    def _listed(self, directory: str) -> dict[str, list[str]]:
        """Return the names in a directory by their text; none where it cannot be read."""
        if directory not in self._names:
            names: dict[str, list[str]] = defaultdict(list)
            try:
                for name in os.listdir(os.path.join(self.root, directory)):
                    names[spelled(name)].append(name)
            except (OSError, ValueError):
                names.clear()
            self._names[directory] = names
        return self._names[directory]
