"""The sections of a run's results about what it did to the classifier between training and saving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The classifier without and with a refinement on the same images."""

    accuracy_before: float
    """Share of the images labelled right without it, 0 to 1."""
    accuracy_after: float
    """Share of the images labelled right with it, 0 to 1."""
    p_value: float
    """Two-sided p-value of McNemar's exact test of no difference, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class InterpolationPoint:
    """The classifier at one point between the probe and the fine-tuned weights."""

    alpha: float
    """Share of the fine-tuned weights, 0 to 1: the probe has 0."""
    accuracy: float
    """Share of the validation images labelled right, 0 to 1."""
    log_loss: float
    """Mean cross-entropy over the validation images (natural logarithm, 0 or more)."""


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """What `interpolate=wise_ft` found."""

    alpha: float
    """Share of the fine-tuned weights in the saved classifier, 0 to 1."""
    points: tuple[InterpolationPoint, ...]
    """The points that were tried; none if no epoch of fine-tuning was better than the probe."""
    tests: dict[str, PairedTest]
    """The fine-tuned weights against the saved ones, by split (`validation`, `test`)."""


@dataclass(frozen=True, kw_only=True)
class Flips:
    """What `tta=flip` changed."""

    tests: dict[str, PairedTest]
    """The image alone against the average with its mirror image, by split (`validation`, `test`)."""


@dataclass(frozen=True, kw_only=True)
class CalibrationFigures:
    """How well the probabilities of a split fit its labels."""

    log_loss: float
    """Mean cross-entropy over the images (natural logarithm, 0 or more)."""
    calibration_error: float
    """Expected calibration error over 15 bins, 0 to 1: how far confidence is from accuracy."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `calibrate=temperature` found; `splits` has the figures after it."""

    temperature: float
    """Number that the logits are divided by, above 0: above 1 for a classifier that was too confident."""
    before: dict[str, CalibrationFigures]
    """Figures of the classifier without it, by split (`validation`, `test`)."""
