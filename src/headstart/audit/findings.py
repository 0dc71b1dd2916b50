"""What an audit finds: an image, what is doubtful about it, and the image that shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    title: str
    meaning: str  # what it is, how it is found and what to do


KINDS = {
    "conflict": Kind(
        "Identical files with different labels",
        "Byte for byte the same, under two classes: one label is wrong at least. All of them are in audit.csv.",
    ),
    "duplicate": Kind(
        "Identical files",
        "Byte for byte the same. The one that audit.csv does not list stays: that of the test split, then validation.",
    ),
    "near_duplicate": Kind(
        "Near-duplicates",
        "The same picture, resized, recompressed, recoloured, mirrored or cropped. Across splits, the evaluation "
        "rewards memory. The one that audit.csv does not list stays: that of the test split, then validation. "
        "Where the labels differ, audit.csv lists both.",
    ),
    "mislabelled": Kind(
        "Perhaps mislabelled",
        "Classifiers on a pretrained network's features, which never saw the image, agree on another class. Images "
        "that are merely hard are among them: look before you leave one out.",
    ),
    "blank": Kind("Blank", "Hardly any contrast: a failed download, a lens cap, an empty scan."),
    "dark": Kind("Dark", "Even the brightest parts are dark, far below what is usual in this data set."),
    "washed_out": Kind(
        "Washed out", "Bright everywhere, with a fraction of the contrast that is usual in this data set."
    ),
    "blurred": Kind("Blurred", "Far fewer fine details, against the coarser ones, than is usual in this data set."),
    "odd_size": Kind("Odd sizes", "A side three times the usual one or a third of it, or a shape twice as long."),
}


@dataclass(frozen=True)
class Finding:
    """One image with something doubtful about it."""

    kind: str  # one of KINDS
    position: int  # in the index
    detail: str
    score: float  # how strong it is, by the measure of its kind
    partner: int | None = None  # the image that stays, or shows the same
    suggested: str | None = None  # the class that it looks like
