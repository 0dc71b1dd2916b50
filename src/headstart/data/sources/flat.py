"""The source `flat`: a directory of images whose file names begin with the number of the class."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.walk import files_below, is_image, read_folder
from headstart.data.index import first_few
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_folders import (
    AUTO,
    NO_SPLITS,
    NONE,
    configured_splits,
    expect_one_folder_each,
    left_out_note,
    override,
    stray_notes,
)
from headstart.data.sources.split_names import name_splits


def list_flat(root: Path, label_names: list[str] | None, splits: Any = AUTO) -> Listing:
    """Return the images of a directory whose files are named like `0_12.jpg`, in split folders or without.

    Args:
        root: an existing directory.
        label_names: the classes in the order of their numbers, from 0.
        splits: `auto` recognizes split folders by their names, `none` disables that, and a dictionary names the folder
            (or a list of folders) of each split.

    Raises:
        HeadstartError: when there are no images, a file name does not begin with a number, or a number has no label.
    """
    if not label_names:
        raise HeadstartError("Expected dataset.label_names to name the classes from number 0 on. Received: nothing")
    directories, notes = _find_directories(root, splits)
    ignored = IgnoredFiles()
    if directories[0][1] != root:
        read_folder(root, ignored=ignored)
    files = [(file, split) for split, directory in directories for file in sorted(files_below(directory, ignored))]
    images = [(file.relative_to(root).as_posix(), split) for file, split in files if is_image(file.name)]
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
            f"like 0_12.jpg. Received: {len(unnumbered)} that do not, {first_few(unnumbered)}"
        )
    labels = {path: int(number[1]) for path, number in numbers.items() if number}
    unnamed = [path for path, label in labels.items() if label >= len(label_names)]
    if unnamed:
        raise HeadstartError(
            f"Expected dataset.label_names to name the class of every image in {root}; it names 0 to "
            f"{len(label_names) - 1}. Received: {len(unnamed)} of other classes, {first_few(unnamed)}"
        )
    others = describe_unsupported(count_suffixes(file for file, _ in files if not is_image(file.name)))
    notes += [others] if others else []
    rows = [ImageRow(path, label_names[labels[path]], split) for path, split in images]
    return Listing(root, rows, (*notes, *ignored.notes()))


def _find_directories(root: Path, splits: Any) -> tuple[list[tuple[str | None, Path]], list[str]]:
    """Return the split folders, or the root if there are none, and notes on images that are left out.

    Raises:
        HeadstartError: when split folders are mixed with other folders of images, or `dataset.splits` is wrong.
    """
    top = read_folder(root)
    named = name_splits(top.names) if splits == AUTO else {}
    if splits == NONE or (splits == AUTO and not named):
        return [(None, root)], []
    if splits != AUTO:
        chosen = configured_splits(top, splits)
        notes = left_out_note(top, chosen)
    else:
        chosen = [(named[child.name], child) for child in top.children if child.name in named]
        others = [name for name in top.names if name not in named]
        if others:
            example = override({split: folder.relative for split, folder in reversed(chosen)})
            raise HeadstartError(
                f"Expected split folders alone, or none, in {root}. Received: {first_few(list(named))} beside "
                f"{first_few(others)}",
                f"name the folder of each split ({example} leaves the others out), or {NO_SPLITS} "
                "if none of them is a split",
            )
        expect_one_folder_each(top, chosen)
        notes = []
    return [(split, folder.path) for split, folder in chosen], [*stray_notes([top], "splits"), *notes]
