"""The sections of a run's results about what it did to the classifier between training and saving."""

from __future__ import annotations

from dataclasses import dataclass


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
