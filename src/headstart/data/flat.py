"""A directory of images without directories of classes: the number of the class begins each file's name."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.data.folder import files_below, split_directories
from headstart.data.formats import IMAGE_EXTENSIONS, describe_others, endings
from headstart.data.index import shortened
from headstart.data.listing import ImageRow, Listing
from headstart.errors import HeadstartError


def list_flat(root: Path, label_names: list[str] | None) -> Listing:
    """Return the images of a directory whose files are named like `0_12.jpg`, in split folders or without.

    Args:
        root: an existing directory.
        label_names: the classes in the order of their numbers, from 0.

    Raises:
        HeadstartError: when there are no images, when a name does not begin with a number, or a number has no name.
    """
    if not label_names:
        raise HeadstartError("Expected dataset.label_names to name the classes from number 0 on. Received: nothing")
    directories: list[tuple[str | None, Path]] = [*split_directories(root).items()] or [(None, root)]
    files = [(file, split) for split, directory in directories for file in sorted(files_below(directory))]
    images = [(file.relative_to(root).as_posix(), split) for file, split in files if _is_image(file)]
    if not images:
        raise HeadstartError(
            f"Expected images named like 0_12.jpg ({' '.join(IMAGE_EXTENSIONS)}) in {root} or in its split folders. "
            "Received: no images"
        )
    numbers = {path: re.match(r"(\d+)_", path.rpartition("/")[2]) for path, _ in images}
    unnumbered = [path for path, number in numbers.items() if number is None]
    if unnumbered:
        raise HeadstartError(
            f"Expected the name of every image in {root} to begin with the number of its class and an underscore, "
            f"like 0_12.jpg. Received: {len(unnumbered)} that do not, {shortened(unnumbered)}"
        )
    labels = {path: int(number[1]) for path, number in numbers.items() if number}
    unnamed = [path for path, label in labels.items() if label >= len(label_names)]
    if unnamed:
        raise HeadstartError(
            f"Expected dataset.label_names to name the class of every image in {root}; it names 0 to "
            f"{len(label_names) - 1}. Received: {len(unnamed)} of other classes, {shortened(unnamed)}"
        )
    others = describe_others(endings(file for file, _ in files if not _is_image(file)))
    notes = (others,) if others else ()
    return Listing(root, [ImageRow(path, label_names[labels[path]], split) for path, split in images], notes)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_EXTENSIONS
