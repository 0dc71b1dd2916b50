"""The findings of an audit, and their kinds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    title: str
    meaning: str  # explains the kind on the page


KINDS = {
    "conflict": Kind(
        "Identical files with different labels",
        "The same file in two classes, so at least one label is wrong. audit.csv lists all of them.",
    ),
    "duplicate": Kind(
        "Identical files",
        "The same file several times. One is kept and not listed in audit.csv: one in the test split, if any, then one "
        "in validation.",
    ),
    "near_duplicate": Kind(
        "Near-duplicates",
        "The same image, resized, recompressed, recoloured, mirrored or cropped. Across splits, scores are inflated by "
        "leakage. One is kept and not listed in audit.csv: one in the test split, if any, then one in validation. If "
        "the labels differ, audit.csv lists both.",
    ),
    "mislabelled": Kind(
        "Possibly mislabelled",
        "Classifiers on a pretrained network's features, which were not fitted on the image, agree on another class. "
        "Some of these images are only hard: check each one before you exclude it.",
    ),
    "blank": Kind("Blank", "Hardly any contrast: a failed download, a lens cap, an empty scan."),
    "dark": Kind("Dark", "Even the brightest parts are far darker than usual in this data set."),
    "washed_out": Kind("Washed out", "Bright everywhere, with a fraction of the contrast usual in this data set."),
    "blurred": Kind("Blurred", "Far fewer fine details, relative to coarse ones, than usual in this data set."),
    "odd_size": Kind("Odd sizes", "Three times the usual size or a third of it, or an aspect ratio twice the usual."),
}


@dataclass(frozen=True)
class Finding:
    """One image with a possible problem."""

    kind: str  # one of KINDS
    position: int  # in the index
    detail: str
    score: float  # severity, by the measure of its kind
    partner: int | None = None  # position of the duplicate that is kept, or of the most similar image
    suggested: str | None = None  # the class that a mislabelled image probably has
