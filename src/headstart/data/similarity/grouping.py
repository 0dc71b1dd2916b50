"""Groups near-duplicates, so that a classifier is not tested on copies of its training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.cache.store import Cache
from headstart.core.errors import HeadstartError
from headstart.data.files.checks import check_images
from headstart.data.files.limits import Limits
from headstart.data.index import ImageIndex
from headstart.data.similarity.measurements import measure_images
from headstart.data.similarity.near_duplicates import clusters, find_near_duplicates
from headstart.data.sources.listing import ImageRow, Listing

KEY = "dataset.group=near_duplicates"
MAX_BYTES = 20e9  # of the cache; as in cache.max_gb


def group_near_duplicates(
    listing: Listing, limits: Limits, cache_directory: Path, value_range: Any = "auto"
) -> Listing:
    """Return the listing with identical and nearly identical images in one group, merged with existing groups.

    Args:
        listing: images of which all, or those of the training split, are split later.
        limits: the limits on image files.
        cache_directory: directory for measurements and file checks.
        value_range: `dataset.value_range`, for images with more than 8 bits.

    Raises:
        HeadstartError: when the dataset has its own splits, which groups cannot change.
    """
    rows = listing.rows
    splits = {row.split for row in rows}
    if None not in splits and "validation" in splits:
        raise HeadstartError(
            f"Expected {KEY} for images without splits. Received: a dataset with its own splits",
            "headstart audit lists near-duplicates across them, and dataset.exclude=audit.csv leaves those out",
        )
    paths = tuple(row.path for row in rows)
    labels, all_train = np.zeros(len(rows), np.int32), np.full(len(rows), "train", dtype="<U10")
    everything = ImageIndex(listing.root, ("image",), paths, labels, all_train, limits=limits)
    readable, _ = check_images(everything, "skip", cache_directory, value_range)
    measured = measure_images(readable, Cache(cache_directory / "tables", MAX_BYTES))
    different = np.sort(np.unique(np.array(readable.digests), return_index=True)[1])
    pairs = [(pair.first, pair.second) for pair in find_near_duplicates(measured.thumbnails, different)]
    given = {row.path: row.group for row in rows}
    pairs += _chained(readable.digests) + _chained([given[path] for path in readable.paths])
    group_of = dict(zip(readable.paths, clusters(pairs, len(readable)).tolist(), strict=True))
    # Unreadable images are left out later, or stop the run; until then each has a group of its own.
    grouped = [row._replace(group=str(group_of.get(row.path, f"unreadable {row.path}"))) for row in rows]
    return replace(listing, rows=grouped, notes=(*listing.notes, *_notes(grouped, None not in splits)))


def _chained(values: Sequence[str | None]) -> list[tuple[int, int]]:
    """Return pairs of positions that connect all positions of the same value."""
    last: dict[str, int] = {}
    pairs = []
    for position, value in enumerate(values):
        if value is None:
            continue
        if value in last:
            pairs.append((last[value], position))
        last[value] = position
    return pairs


def _notes(rows: Sequence[ImageRow], has_test: bool) -> list[str]:
    """Return a sentence each on the groups, and on those that straddle a given test split."""
    sizes = Counter(row.group for row in rows)
    larger = [size for size in sizes.values() if size > 1]
    notes = [f"{KEY}: {sum(larger):,} images are in {len(larger):,} groups that stay in one split"]
    if has_test:
        straddling = {row.group for row in rows if row.split == "test"} & {
            row.group for row in rows if row.split != "test"
        }
        notes.append(
            f"{KEY} keeps groups together when training and validation images are split; the dataset has its own test "
            f"split, and {len(straddling):,} groups straddle it"
        )
    return notes
