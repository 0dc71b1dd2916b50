"""Cross-validation: every image is in the test split of exactly one fold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from headstart.config import CrossValidationConfig
from headstart.core.errors import HeadstartError
from headstart.data.classes import expect_enough
from headstart.data.index import natural_key
from headstart.data.sources.listing import Listing


def choose_fold(listing: Listing, cv: CrossValidationConfig, seed: int) -> Listing:
    """Return the listing with one fold as its test split and all other folds as training images.

    The folds are stratified by class, and keep groups together. They exclude the source's own test split, which stays
    unseen, and include its validation split.

    Args:
        listing: images with or without splits.
        cv: the number of folds, and the chosen one.
        seed: of the assignment to folds.

    Returns:
        The new listing; without folds, the listing itself.

    Raises:
        HeadstartError: when no valid fold is chosen, or a class has fewer images (or groups) than folds.

    Source: https://scikit-learn.org/stable/modules/cross_validation.html
    """
    if cv.folds is None and cv.fold is not None:
        raise HeadstartError(f"Expected cv.folds, the number of folds, with cv.fold. Received: cv.fold={cv.fold}")
    if cv.folds is None:
        return listing
    if cv.fold is None or cv.fold >= cv.folds:
        raise HeadstartError(
            f"Expected cv.fold from 0 to {cv.folds - 1}, or -m for every fold: headstart train -m cv.folds={cv.folds}. "
            f"Received: {cv.fold}"
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows = sorted((row for row in listing.rows if row.split != "test"), key=lambda row: natural_key(row.path))
    grouped = bool(rows) and rows[0].group is not None
    units = {(row.label, row.group if grouped else row.path) for row in rows}
    counts = Counter(label for label, _ in units)
    least = max(cv.folds, 4 if cv.folds == 2 else 3)  # two outside each fold: for training and validation
    purpose = f"in {listing.root} for cv.folds={cv.folds}"
    expect_enough(counts, least, "group" if grouped else "image", purpose)
    labels = np.array([row.label for row in rows])
    groups = [row.group for row in rows] if grouped else None
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    folds = list(kind(cv.folds, shuffle=True, random_state=seed).split(labels, labels, groups))
    held_out = set(folds[cv.fold][1].tolist())
    left_out = len(listing.rows) - len(rows)
    note = f"{left_out:,} images of the test split are not part of the cross-validation"
    return replace(
        listing,
        rows=[row._replace(split="test" if position in held_out else "train") for position, row in enumerate(rows)],
        notes=(*listing.notes, note) if left_out else listing.notes,
    )
