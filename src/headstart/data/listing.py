"""What a source finds, before anything is split: each image by its file and its class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from headstart.data.index import natural_key
from headstart.errors import HeadstartError, expect_one_of


class ImageRow(NamedTuple):
    """One image as a source finds it."""

    path: str  # relative to the root, with forward slashes
    label: str  # name of its class
    split: str | None = None  # one of SPLITS; None where the source has no splits
    group: str | None = None  # images of one group stay in one split


@dataclass(frozen=True)
class Listing:
    """All images of a source.

    Args:
        root: directory that the paths are relative to.
        rows: one for each image, in any order.
        notes: what the source left out, one sentence each.
    """

    root: Path
    rows: list[ImageRow]
    notes: tuple[str, ...] = ()


def keep_classes(listing: Listing, classes: list[str] | None) -> Listing:
    """Return the listing with the images of the given classes alone.

    Args:
        listing: the images.
        classes: names of classes; None keeps them all.

    Raises:
        HeadstartError: for a name that no image has, or for no name at all.
    """
    if classes is None:
        return listing
    if not classes:
        raise HeadstartError("Expected dataset.classes to name the classes to keep, or null for all. Received: none")
    names = sorted({row.label for row in listing.rows}, key=natural_key)
    for name in classes:
        expect_one_of("dataset.classes", name, names)
    return replace(listing, rows=[row for row in listing.rows if row.label in set(classes)])
