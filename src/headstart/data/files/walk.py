"""Walks directories in natural order, follows links, and skips hidden files and those of other programs."""

from __future__ import annotations

import heapq
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from headstart.data.files.formats import IMAGE_EXTENSIONS
from headstart.data.files.ignored import IgnoredFiles, is_ignored
from headstart.data.files.links import unreadable
from headstart.data.index import natural_key

EXAMPLES = 5  # file names that a note may show


@dataclass(frozen=True)
class Folder:
    """The content of a folder, without that of its subfolders and without ignored files.

    Args:
        path: of the folder.
        relative: its path within the root, with forward slashes; empty for the root.
        images: number of image files directly in it.
        examples: names of some of these images.
        folders: names of all its subfolders, in natural order.
    """

    path: Path
    relative: str
    images: int
    examples: tuple[str, ...]
    folders: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.name

    @cached_property
    def children(self) -> tuple[Folder, ...]:
        """The subfolders that contain an image at any depth."""
        read = (read_folder(self.path / name, f"{self.relative}/{name}".lstrip("/")) for name in self.folders)
        return tuple(folder for folder in read if folder.images or any(images_below(folder.path)))

    @property
    def names(self) -> list[str]:
        """The names of `children`."""
        return [child.name for child in self.children]

    @property
    def compared_names(self) -> frozenset[str]:
        """The names of `children`, normalized for comparison: composed accents, no case, no surrounding blanks."""
        return frozenset(unicodedata.normalize("NFC", name).casefold().strip() for name in self.names)


def read_folder(path: Path, relative: str = "", ignored: IgnoredFiles | None = None) -> Folder:
    """Return the content of a folder.

    Args:
        path: an existing directory.
        relative: its path within the root, with forward slashes.
        ignored: counts the ignored files and folders.

    Raises:
        HeadstartError: when the directory cannot be read.
    """
    images, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                # For a circular link, os.path.isdir returns False while DirEntry.is_dir raises.
                is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                if is_ignored(entry.name):
                    if ignored is not None:
                        ignored.add(entry.name, is_folder)
                elif is_folder:
                    folders.append(entry.name)
                elif is_image(entry.name):
                    images.append(entry.name)
    except OSError as error:
        raise unreadable(error) from error
    examples = tuple(heapq.nsmallest(EXAMPLES, images))
    return Folder(path, relative, len(images), examples, tuple(sorted(folders, key=natural_key)))


def files_below(directory: Path, ignored: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield all files in a directory and below it, including linked directories, except ignored files.

    Args:
        directory: an existing directory.
        ignored: counts the ignored files and folders.

    Raises:
        HeadstartError: naming a directory that cannot be read.
    """
    visited = set()

    def stop(error: OSError) -> None:
        raise unreadable(error) from error

    for current, folders, files in os.walk(directory, followlinks=True, onerror=stop):
        real = os.path.realpath(current)
        if real in visited:  # a link to a parent directory would recurse forever
            folders.clear()
            continue
        visited.add(real)
        if ignored is not None:
            for names, is_folder in ((folders, True), (files, False)):
                for name in filter(is_ignored, names):
                    ignored.add(name, is_folder)
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        yield from (Path(current, name) for name in files if not is_ignored(name))


def images_below(directory: Path, ignored: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield the files of `files_below` that have the suffix of an image."""
    return (file for file in files_below(directory, ignored) if is_image(file.name))


def is_image(name: str) -> bool:
    """Return whether a file name has the suffix of an image; the content is checked later."""
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS
