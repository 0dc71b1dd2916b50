"""Files and folders of operating systems, network drives and notebooks, which are neither images nor classes."""

from __future__ import annotations

from collections import Counter

from headstart.data.index import first_few

# In lower case. Names that begin with a dot (.DS_Store, .thumbnails, ._photo.jpg) are ignored anyway.
NAMES = frozenset(
    (
        "__macosx",  # archives made by macOS
        "network trash folder",
        "temporary items",
        "icon\r",
        "@eadir",  # Synology: thumbnails that have the names of the images
        "#recycle",
        "#snapshot",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "@tmp",
        "$recycle.bin",  # Windows
        "system volume information",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "picasa.ini",
        "lost+found",  # Linux
        "__pycache__",
    )
)


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or belongs to another program."""
    return name.startswith(".") or name.lower() in NAMES


class IgnoredFiles:
    """Counts the ignored files and folders of a walk by name."""

    def __init__(self) -> None:
        self._folders: Counter[str] = Counter()
        self._files: Counter[str] = Counter()

    def add(self, name: str, is_folder: bool) -> None:
        """Count one file or folder; the content of a folder is not counted."""
        (self._folders if is_folder else self._files)["._*" if name.startswith("._") else name] += 1

    def notes(self) -> tuple[str, ...]:
        """Return one sentence with the names and their counts, or no sentence."""
        kinds = [
            (count, f"{name}: {count:,} {unit if count == 1 else f'{unit}s'}")
            for counter, unit in ((self._folders, "folder"), (self._files, "file"))
            for name, count in counter.items()
        ]
        if not kinds:
            return ()
        total = sum(count for count, _ in kinds)
        listed = first_few([text for _, text in sorted(kinds, key=lambda kind: -kind[0])])
        return (f"Hidden files and those of other programs were left out ({total:,}; {listed})",)
