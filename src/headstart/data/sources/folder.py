"""The source `folder`: one directory of images per class, optionally within split folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported, is_unsupported_image
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.walk import files_below, is_image, read_folder
from headstart.data.index import first_few, natural_key
from headstart.data.sources.layout import find_classes
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_folders import AUTO, NO_SPLITS


def list_folder(root: Path, splits: Any = AUTO, no_splits: str = NO_SPLITS) -> Listing:
    """Return the images of a directory, with their splits if it has split folders.

    Each split folder, or the root itself, has one directory per class, which may have subdirectories. Hidden files and
    those of other programs are left out.

    Args:
        root: an existing directory.
        splits: `auto` recognizes split folders by their names, `none` disables that, and a dictionary names the folder
            (or a list of folders) of each split.
        no_splits: the setting for "no split folders", for messages.

    Raises:
        HeadstartError: when there are no images, or the folders can be read in more than one way.
    """
    layout = find_classes(root, splits, no_splits)
    ignored = IgnoredFiles()
    # Outside of the classes, a licence may be left out silently, but not a photograph in an unsupported format.
    others = count_suffixes(file for file in files_below(root, ignored) if is_unsupported_image(file))
    rows: list[ImageRow] = []
    for folder in layout.classes:
        files = sorted(files_below(folder.path))
        others.update(
            count_suffixes(file for file in files if not is_image(file.name) and not is_unsupported_image(file))
        )
        rows += [
            ImageRow(file.relative_to(root).as_posix(), folder.label, folder.split)
            for file in files
            if is_image(file.name)
        ]
    if not rows:
        strays = read_folder(root).images
        received = f"{strays:,} images without one" if strays else "no images"
        raise HeadstartError(
            f"Expected a folder for each class with images in it ({' '.join(IMAGE_EXTENSIONS)}) in {root}. "
            f"Received: {received}{_but(others)}",
            "make a folder for each class; dataset=csv if a table has the labels, dataset=unlabelled head=imagenet "
            "for images without any",
        )
    notes = [*layout.notes, *_notes(layout.empty, others), *ignored.notes()]
    return Listing(root, rows, tuple(notes))


def _but(others: Counter[str]) -> str:
    """Return the end of the message that there are no images: which other files there are."""
    return f". {describe_unsupported(others)}" if others else ""


def _notes(empty: list[str], others: Counter[str]) -> list[str]:
    """Return a sentence each about empty folders and unsupported files."""
    notes = []
    if empty:
        names = first_few(sorted(empty, key=natural_key))
        notes.append(f"Folders without an image were left out ({len(empty)}): {names}")
    if others:
        notes.append(describe_unsupported(others))
    return notes
