"""A directory of images: one directory for each class, within split folders or without."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS, describe_others, endings, is_other_image
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.walk import files_below, is_image, read_folder
from headstart.data.index import natural_key, shortened
from headstart.data.sources.layout import find_classes
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_folders import AUTO, NO_SPLITS


def list_folder(root: Path, splits: Any = AUTO, no_splits: str = NO_SPLITS) -> Listing:
    """Return the images of a directory, with their splits if it has split folders.

    A split folder, or the root itself, holds one directory for each class; images deeper inside belong to that class.
    Hidden files and those of other programs are left out.

    Args:
        root: an existing directory.
        splits: `auto` recognizes split folders by their names, `none` says that there are none, and a dictionary names
            the folder (or a list of folders) of each split.
        no_splits: how to say that there are no split folders.

    Raises:
        HeadstartError: when there are no images, or the folders can be read in more than one way.
    """
    layout = find_classes(root, splits, no_splits)
    litter = IgnoredFiles()
    # A licence beside the classes is nobody's loss; a photograph of another format is, wherever it lies.
    others = endings(file for file in files_below(root, litter) if is_other_image(file))
    rows: list[ImageRow] = []
    for one in layout.classes:
        files = sorted(files_below(one.path))
        others.update(endings(file for file in files if not is_image(file.name) and not is_other_image(file)))
        rows += [
            ImageRow(file.relative_to(root).as_posix(), one.label, one.split) for file in files if is_image(file.name)
        ]
    if not rows:
        strays = read_folder(root).images
        received = f"{strays:,} pictures without one" if strays else "no images"
        raise HeadstartError(
            f"Expected a folder for each class with images in it ({' '.join(IMAGE_EXTENSIONS)}) in {root}. "
            f"Received: {received}{_but(others)}"
        )
    notes = [*layout.notes, *_notes(layout.empty, others), *litter.notes()]
    return Listing(root, rows, tuple(notes))


def _but(others: Counter[str]) -> str:
    """Return what there is instead of images, behind a message that there are none."""
    return f". {describe_others(others)}" if others else ""


def _notes(empty: list[str], others: Counter[str]) -> list[str]:
    """Return what was left out, one sentence each."""
    notes = []
    if empty:
        names = shortened(sorted(empty, key=natural_key))
        notes.append(f"Folders without an image were left out ({len(empty)}): {names}")
    if others:
        notes.append(describe_others(others))
    return notes
