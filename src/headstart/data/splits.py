"""Splits images into training, validation and test: stratified by class, seeded, and the same on every machine."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict

import numpy as np

from headstart.config import SplitConfig
from headstart.core.errors import HeadstartError
from headstart.data.classes import expect_enough
from headstart.data.index import ImageIndex, first_few, natural_key
from headstart.data.sources.listing import Listing


def build_index(listing: Listing, split: SplitConfig) -> ImageIndex:
    """Sort the images of a source, split them if the source does not, and return the index.

    Images without splits are split into train, validation and, unless its fraction is 0, test. If only the validation
    split is missing, it takes its fraction from the training images.

    Args:
        listing: at least one image.
        split: the fractions, and the seed.

    Raises:
        HeadstartError: when the fractions leave no training images or a class has too few images for the splits.
    """
    if not (split.validation > 0 and split.test >= 0 and split.validation + split.test < 1):
        raise HeadstartError(
            "Expected dataset.split.validation to be above 0, dataset.split.test to be at least 0 and both together to "
            f"leave images for training. Received: {split.validation} and {split.test}"
        )
    rows = sorted(listing.rows, key=lambda row: natural_key(row.path))
    class_names = tuple(sorted({row.label for row in rows}, key=natural_key))
    label_of = {name: label for label, name in enumerate(class_names)}
    index = ImageIndex(
        root=listing.root,
        class_names=class_names,
        paths=tuple(row.path for row in rows),
        labels=np.array([label_of[row.label] for row in rows], dtype=np.int32),
        splits=np.array([row.split or "train" for row in rows]).astype("<U10"),
        notes=listing.notes,
    )
    groups = [row.group or "" for row in rows] if rows[0].group is not None else None
    fractions = {}
    if all(row.split is None for row in rows):
        fractions = {"test": split.test, "validation": split.validation}
    elif "validation" not in index.splits:
        fractions = {"validation": split.validation}

    fractions = {name: fraction for name, fraction in fractions.items() if fraction > 0}
    if fractions:
        _expect_enough(index, groups, list(fractions))
    remaining = 1.0
    for name, fraction in fractions.items():
        train = np.flatnonzero(index.splits == "train")
        share = fraction / remaining  # of the images that earlier splits have left
        if groups is None:
            chosen = _stratified(index, train, share, split.seed)
        else:
            train_groups = [groups[position] for position in train]
            chosen = _stratified_groups(index, train, train_groups, share, split.seed, name)
        _expect_all_classes(index, train, chosen, name, "group" if groups else "image")
        index.splits[chosen] = name
        remaining -= fraction
    return index


def training_fraction(index: ImageIndex, fraction: float, seed: int) -> ImageIndex:
    """Return the index with a stratified fraction of its training images; smaller fractions are subsets of larger ones.

    Args:
        index: images with splits.
        fraction: of each class to keep, above 0 and at most 1; at least one image of each class stays.
        seed: decides which images are kept.

    Raises:
        HeadstartError: when the fraction is out of range.
    """
    if not 0 < fraction <= 1:
        raise HeadstartError(f"Expected dataset.fraction to be above 0 and at most 1. Received: {fraction}")
    if fraction == 1:
        return index
    kept = index.splits != "train"
    for positions in _by_class(index, np.flatnonzero(~kept)):
        ranked = _shuffled(index, positions, f"fraction {seed}")
        kept[ranked[: max(1, round(fraction * len(ranked)))]] = True
    return index.take(np.flatnonzero(kept))


def curve_fraction(index: ImageIndex, fraction: float, seed: int) -> ImageIndex:
    """Return the training images for one point of a learning curve: as `training_fraction`, with two of every class.

    With fewer, the share of a small class would be larger than the fraction, and the heads that are fitted with
    cross-validation could not be.

    Args:
        index: images with splits.
        fraction: as for `training_fraction`.
        seed: decides which images are kept.

    Raises:
        HeadstartError: when the fraction is out of range, or leaves fewer than two training images of a class.
    """
    kept = training_fraction(index, fraction, seed)
    available = index.counts()["train"]
    few = [name for name, count in zip(index.class_names, fraction * available, strict=True) if round(count) < 2]
    if few:
        smallest = min(1.0, math.ceil(1000 * 1.5 / available.min()) / 1000)  # 1.5 images and more are rounded to 2
        way_out = (
            f"the smallest fraction for this data set is {smallest:g}"
            if available.min() > 1
            else ("dataset.min_images=3 leaves out classes with fewer images")
        )
        raise HeadstartError(
            f"Expected dataset.fraction to leave at least two training images of every class of {index.root}. "
            f"Received: {fraction:g}, which leaves fewer of {first_few(few)}",
            way_out,
        )
    return kept


def _stratified(index: ImageIndex, positions: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose a share of each class: at least one image, and not all of them unless there is only one."""
    chosen = []
    for members in _by_class(index, positions):
        number = max(1, min(len(members) - 1, round(share * len(members))))
        chosen.extend(_shuffled(index, members, f"split {seed}")[:number])
    return np.sort(np.array(chosen, dtype=np.intp))


def _stratified_groups(
    index: ImageIndex, positions: np.ndarray, groups: list[str], share: float, seed: int, name: str
) -> np.ndarray:
    """Choose complete groups with about a share of each class: one of round(1 / share) folds.

    Source: StratifiedGroupKFold of scikit-learn, https://scikit-learn.org/stable/modules/cross_validation.html
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labels = index.labels[positions]
    groups_of = {label: np.unique(np.asarray(groups)[labels == label]).size for label in np.unique(labels)}
    single = [index.class_names[label] for label, number in groups_of.items() if number < 2]
    if single:
        raise _too_few(index, single, name, "group")
    folds = max(2, min(round(1 / share), *groups_of.values()))
    every_fold = [
        held_out
        for _, held_out in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    ]
    # Folds differ in size and in their classes; the best fold has all classes and is nearest to the share.
    best = min(
        every_fold,
        key=lambda fold: (-np.unique(labels[fold]).size, abs(len(fold) - share * len(positions))),
    )
    return positions[best]


def _expect_enough(index: ImageIndex, groups: list[str] | None, new_splits: list[str]) -> None:
    """Raise unless each class has an image (or a group) for each new split, and one for training."""
    train = np.flatnonzero(index.splits == "train")
    units = {(int(index.labels[position]), groups[position] if groups else int(position)) for position in train}
    counts = Counter(index.class_names[label] for label, _ in units)
    parts = "train, validation and test" if "test" in new_splits else "train and validation"
    purpose = f"in {index.root}, one for each of {parts}"
    expect_enough(counts, 1 + len(new_splits), "group" if groups else "image", purpose)


def _expect_all_classes(index: ImageIndex, train: np.ndarray, chosen: np.ndarray, name: str, unit: str) -> None:
    """Raise unless the chosen images and the remaining training images both have every class."""
    remaining = np.setdiff1d(train, chosen)
    classes = np.unique(index.labels[train])
    absent = [index.class_names[label] for label in classes if not np.isin(label, index.labels[chosen])]
    absent += [index.class_names[label] for label in classes if not np.isin(label, index.labels[remaining])]
    if absent:
        raise _too_few(index, absent, name, unit)


def _too_few(index: ImageIndex, classes: list[str], split: str, unit: str) -> HeadstartError:
    """Return the error for classes with too few images or groups for every split."""
    return HeadstartError(
        f"Expected at least one {unit} of every class in {index.root} for each split. "
        f"Received: too few {unit}s of {first_few(classes)} to make a {split} split; dataset.classes=[A,B] names the "
        "classes to keep"
    )


def _by_class(index: ImageIndex, positions: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each class, in the order of the labels, without empty classes."""
    members = defaultdict(list)
    for position in positions:
        members[int(index.labels[position])].append(position)
    return [np.array(members[label], dtype=np.intp) for label in sorted(members)]


def _shuffled(index: ImageIndex, positions: np.ndarray, salt: str) -> list[int]:
    """Sort positions by a salted hash of their paths.

    Unlike a random shuffle, this keeps most images in their split when others are added or removed.
    """

    def rank(position: int) -> str:
        text = f"{salt} {index.paths[position]}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    return sorted(positions.tolist(), key=rank)
