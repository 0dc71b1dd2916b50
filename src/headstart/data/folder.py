"""A directory of images: one directory for each class, within split folders or without."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headstart.data.formats import IMAGE_EXTENSIONS, describe_others, endings
from headstart.data.index import SPLITS, natural_key, shortened
from headstart.data.links import hidden, unreadable
from headstart.data.listing import ImageRow, Listing
from headstart.data.splitting import SPLIT_NAMES
from headstart.errors import HeadstartError


def list_folder(root: Path) -> Listing:
    """Return the images of a directory, with their splits if it has split folders.

    A split folder, or the root itself, holds one directory for each class; images deeper inside belong to that class.
    Hidden files and directories are left out.

    Args:
        root: an existing directory.

    Raises:
        HeadstartError: when there are no images, or when split folders and other directories are mixed.
    """
    directories = split_directories(root)
    empty: set[str] = set()
    others: Counter[str] = Counter()
    rows: list[ImageRow] = []
    for name, directory in directories.items() if directories else [(None, root)]:
        for class_directory in _visible_directories(directory):
            files = sorted(files_below(class_directory))
            images = [file for file in files if file.suffix.lower() in IMAGE_EXTENSIONS]
            others.update(endings(set(files).difference(images)))
            if not images:
                empty.add(class_directory.name)
            rows += [ImageRow(file.relative_to(root).as_posix(), class_directory.name, name) for file in images]
    if not rows:
        raise HeadstartError(
            f"Expected a directory for each class with images in it ({' '.join(IMAGE_EXTENSIONS)}) in {root}. "
            f"Received: no images{_but(others)}"
        )
    return Listing(root, rows, _notes(rows, empty, others))


def split_directories(root: Path) -> dict[str, Path]:
    """Return the split folders of a root by split; nothing when it holds classes."""
    names = [directory.name for directory in _visible_directories(root)]
    found: dict[str, str] = {}
    for name in names:
        split = SPLIT_NAMES.get(name.lower())
        if split in found:
            raise HeadstartError(
                f"Expected one folder for each split in {root}. Received: both {found[split]} and {name} for {split}"
            )
        if split is not None:
            found[split] = name
    others = [name for name in names if name.lower() not in SPLIT_NAMES]
    if others and len(found) < 2:
        return {}  # a class may well be called train
    if others:
        raise HeadstartError(
            f"Expected either split folders or directories of classes in {root}. "
            f"Received: both {' and '.join(found.values())} and {shortened(others)}"
        )
    if found and "train" not in found:
        raise HeadstartError(
            f"Expected a folder train, training or training_set in {root}. Received: only {', '.join(found.values())}"
        )
    return {split: root / found[split] for split in SPLITS if split in found}


def _visible_directories(directory: Path) -> list[Path]:
    """Return the directories in a directory, in natural order."""
    found = [path for path in directory.iterdir() if path.is_dir() and not hidden(path.name)]
    return sorted(found, key=lambda path: natural_key(path.name))


def files_below(directory: Path) -> Iterator[Path]:
    """Yield all visible files in a directory and below it, through symbolic links too.

    Raises:
        HeadstartError: naming a directory that cannot be read.
    """
    visited = set()

    def stop(error: OSError) -> None:
        raise unreadable(error) from error

    for current, directories, files in os.walk(directory, followlinks=True, onerror=stop):
        real = os.path.realpath(current)
        if real in visited:  # a link to a directory further up would never end
            directories.clear()
            continue
        visited.add(real)
        directories[:] = sorted(name for name in directories if not hidden(name))
        yield from (Path(current, name) for name in files if not hidden(name))


def _but(others: Counter[str]) -> str:
    """Return what there is instead of images, behind a message that there are none."""
    return f". {describe_others(others)}" if others else ""


def _notes(rows: list[ImageRow], empty: set[str], others: Counter[str]) -> tuple[str, ...]:
    """Return what was left out, one sentence each."""
    notes = []
    without_any = sorted(empty - {row.label for row in rows}, key=natural_key)
    if without_any:
        notes.append(f"Directories without an image are no classes ({len(without_any)}): {shortened(without_any)}")
    if others:
        notes.append(describe_others(others))
    return tuple(notes)
