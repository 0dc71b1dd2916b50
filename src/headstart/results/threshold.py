"""The section of a run's results about the threshold between two classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ThresholdFigures:
    """The figures of a split whose images get the second class where its probability is above a threshold."""

    accuracy: float
    """Share of the images labelled right, 0 to 1."""
    balanced_accuracy: float
    """Mean recall over the classes, 0 to 1."""
    precision: float
    """Share of the images given the second class that belong to it, 0 to 1; 0 where it was never given."""
    recall: float | None
    """Share of the images of the second class that got it, 0 to 1; null without such images."""


@dataclass(frozen=True, kw_only=True)
class ThresholdAdvice:
    """The threshold of `headstart predict` with `--threshold advised`; `predictions.csv` has the likelier class."""

    second_class: str
    """The class that an image gets if its probability is above the threshold; otherwise it gets the first class."""
    threshold: float
    """Threshold with the highest balanced accuracy on validation, 0 to 1; 0.5 where no other is clearly better."""
    at_half: dict[str, ThresholdFigures]
    """Figures of the likelier class, by split (`validation`, `test`)."""
    at_threshold: dict[str, ThresholdFigures]
    """Figures at the threshold, by split (`validation`, `test`)."""
