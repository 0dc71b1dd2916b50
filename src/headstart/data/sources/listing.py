"""The list of images that a source returns, before splitting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class ImageRow(NamedTuple):
    """One image of a source."""

    path: str  # relative to the root, with forward slashes
    label: str  # name of its class
    split: str | None = None  # one of SPLITS; None if the source has no splits
    group: str | None = None  # images of one group stay in one split


@dataclass(frozen=True)
class Listing:
    """All images of a source.

    Args:
        root: directory that the paths are relative to.
        rows: one for each image, in any order.
        notes: what the source left out or assumed, one sentence each.
    """

    root: Path
    rows: list[ImageRow]
    notes: tuple[str, ...] = ()
