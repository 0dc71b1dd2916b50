"""How folders are read: in natural order, through links, without the litter of other programs."""

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

EXAMPLES = 5  # names of images that a note may show


@dataclass(frozen=True)
class Folder:
    """What lies directly in a folder, without litter.

    Args:
        path: of the folder.
        relative: its path within the root, with forward slashes; empty for the root.
        images: number of image files directly in it.
        examples: names of some of them.
        folders: names of all folders in it, in natural order.
    """

    path: Path
    relative: str
    images: int
    examples: tuple[str, ...]
    folders: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.name

    @cached_property
    def children(self) -> tuple[Folder, ...]:
        """The folders in it that hold an image at any depth."""
        read = (read_folder(self.path / name, f"{self.relative}/{name}".lstrip("/")) for name in self.folders)
        return tuple(folder for folder in read if folder.images or any(images_below(folder.path)))

    @property
    def names(self) -> list[str]:
        """The names of `children`."""
        return [child.name for child in self.children]

    @property
    def compared_names(self) -> frozenset[str]:
        """The names of `children` by which folders are compared: composed accents, no case, no blanks around them."""
        return frozenset(unicodedata.normalize("NFC", name).casefold().strip() for name in self.names)


def read_folder(path: Path, relative: str = "", litter: IgnoredFiles | None = None) -> Folder:
    """Return what lies directly in a folder.

    Args:
        path: an existing directory.
        relative: its path within the root, with forward slashes.
        litter: counts what is left out.

    Raises:
        HeadstartError: when the directory cannot be read.
    """
    images, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                # A link may lead in a circle, which only os.path.isdir takes for no directory.
                is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                if is_ignored(entry.name):
                    if litter is not None:
                        litter.add(entry.name, is_folder)
                elif is_folder:
                    folders.append(entry.name)
                elif is_image(entry.name):
                    images.append(entry.name)
    except OSError as error:
        raise unreadable(error) from error
    examples = tuple(heapq.nsmallest(EXAMPLES, images))
    return Folder(path, relative, len(images), examples, tuple(sorted(folders, key=natural_key)))


def files_below(directory: Path, litter: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield all files in a directory and below it, through symbolic links too, without litter.

    Args:
        directory: an existing directory.
        litter: counts what is left out.

    Raises:
        HeadstartError: naming a directory that cannot be read.
    """
    visited = set()

    def stop(error: OSError) -> None:
        raise unreadable(error) from error

    for current, folders, files in os.walk(directory, followlinks=True, onerror=stop):
        real = os.path.realpath(current)
        if real in visited:  # a link to a directory further up would never end
            folders.clear()
            continue
        visited.add(real)
        if litter is not None:
            for names, is_folder in ((folders, True), (files, False)):
                for name in filter(is_ignored, names):
                    litter.add(name, is_folder)
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        yield from (Path(current, name) for name in files if not is_ignored(name))


def images_below(directory: Path, litter: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield the files of `files_below` whose names end as those of images do."""
    return (file for file in files_below(directory, litter) if is_image(file.name))


def is_image(name: str) -> bool:
    """Return whether a file's name ends as that of an image does; its content decides later."""
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS
