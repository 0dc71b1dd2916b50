"""The learning curve: how accuracy grows with the training images, and what more images would give.

The error is assumed to fall as a power of the number of images towards a floor, error = a + b * images^-c, as found by
J. Hestness et al. (Deep learning scaling is predictable, empirically, 2017, arXiv 1712.00409), and by T. Viering and
M. Loog in most of the learning curves that they survey (The shape of learning curves, 2021, arXiv 2103.10948).

A few noisy points fit many such curves. So no single one is extrapolated: a grid of curves is weighted by how well each
passes through the points, and the spread of what they predict is the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headstart.core.errors import HeadstartError

FEWEST_SIZES = 3  # the curve has three parameters
SMALLEST_RANGE = 2.0  # largest over smallest number of images
WIDEST = 0.2  # of the interval for twice the images, as an accuracy; a wider one says nothing
SIGNIFICANT_FALL = 3.0  # standard errors by which accuracy may fall with more images before the curve cannot hold
CONFIDENCE = 0.95
DRAWS = 4000
LEAST_ERROR = 1e-3  # smallest standard error: runs that agree by chance are not known exactly

# The grid: the floor as a share of the error at the most images, the exponent, and that error in standard errors.
FLOORS = np.linspace(0, 1, 31) ** 2  # denser where more images keep helping, so that the gain is not understated
EXPONENTS = np.geomspace(0.1, 2, 31)
STEPS = np.linspace(-4, 4, 25)


class Estimate(NamedTuple):
    """An expected value with its 95 % interval."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class NoLearningCurve:
    """Why measured accuracies cannot be extrapolated, as the end of a sentence."""

    reason: str


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Measured accuracies, and draws of the power laws that they allow.

    Args:
        images: (sizes,) training images, ascending.
        accuracies: (sizes,) 0 to 1.
        standard_errors: (sizes,) of the accuracies, above 0.
        floors: (draws,) error that no number of images would lower: a of the formula.
        errors: (draws,) error at the largest of `images`.
        exponents: (draws,) c of the formula.
        noise: (draws,) of one more measurement.
    """

    images: np.ndarray
    accuracies: np.ndarray
    standard_errors: np.ndarray
    floors: np.ndarray
    errors: np.ndarray
    exponents: np.ndarray
    noise: np.ndarray

    def at(self, images: float) -> Estimate:
        """Return the accuracy to expect, and where 95 % of the measurements like these will be.

        Args:
            images: number of training images, above 0.
        """
        return _estimate(np.clip(self._accuracies(images) + self.noise, 0, 1))

    @property
    def slope(self) -> Estimate:
        """The gain in accuracy from twice the largest number of images, 0.02 is two points.

        Its interval contained the true gain of simulated power laws in about 90 of 100 cases, not 95.
        """
        most = float(self.images[-1])
        return _estimate(self._accuracies(2 * most) - self._accuracies(most))

    def _accuracies(self, images: float) -> np.ndarray:
        falling = (images / self.images[-1]) ** -self.exponents
        return 1 - (self.floors + (self.errors - self.floors) * falling)


def extrapolate(
    images: np.ndarray, accuracies: np.ndarray, standard_errors: np.ndarray, seed: int = 0
) -> LearningCurve | NoLearningCurve:
    """Fit a learning curve to the accuracies measured with different numbers of training images.

    Args:
        images: (sizes,) numbers of training images, in any order, each once.
        accuracies: (sizes,) 0 to 1.
        standard_errors: (sizes,) of the accuracies, 0 or more.
        seed: of the draws.

    Returns:
        The curve; or, where it would say nothing, the reason.

    Raises:
        HeadstartError: when the arrays differ in length, or a value is outside its range.
    """
    images, accuracies, deviations = _checked(images, accuracies, standard_errors)
    if len(images) < FEWEST_SIZES:
        return NoLearningCurve(f"needs at least {FEWEST_SIZES} numbers of training images, and there are {len(images)}")
    if images[-1] < SMALLEST_RANGE * images[0]:
        return NoLearningCurve(f"the most images, {images[-1]:,.0f}, are less than twice the fewest, {images[0]:,.0f}")
    if _falls(images, accuracies, deviations):
        return NoLearningCurve(
            "accuracy falls with more images, which the power law of a learning curve cannot describe"
        )
    curve = _draw(images, accuracies, deviations, np.random.default_rng(seed))
    twice = curve.at(2 * images[-1])
    if twice.high - twice.low > WIDEST:
        return NoLearningCurve(
            f"the measured points allow anything from {100 * twice.low:.0f} to {100 * twice.high:.0f} % with twice the "
            "images"
        )
    return curve


def describe(curve: LearningCurve | NoLearningCurve, times: int = 2) -> str:
    """Return what more images would give, as a sentence without a full stop.

    Args:
        curve: of `extrapolate`.
        times: how many times the largest number of images, 2 or 4.
    """
    if isinstance(curve, NoLearningCurve):
        return f"No extrapolation: {curve.reason}"
    images = times * float(curve.images[-1])
    expected, low, high = (100 * value for value in curve.at(images))
    words = {2: "twice", 4: "four times"}.get(times, f"{times} times")
    return f"With {words} the images ({images:,.0f}), expect {expected:.1f} % ({low:.1f} to {high:.1f})"


def _draw(
    images: np.ndarray, accuracies: np.ndarray, deviations: np.ndarray, generator: np.random.Generator
) -> LearningCurve:
    """Weight the curves of the grid by the points, and draw from them."""
    last = 1 - accuracies[-1]
    errors = np.clip(last + STEPS * deviations.max(), 1e-6, 1)
    shares, exponents, errors = (axis.ravel() for axis in np.meshgrid(FLOORS, EXPONENTS, errors, indexing="ij"))
    falling = (images[:, None] / images[-1]) ** -exponents
    fitted = errors * (shares + (1 - shares) * falling)  # (sizes, curves)
    misfit = (((1 - accuracies)[:, None] - fitted) ** 2 / deviations[:, None] ** 2).sum(axis=0)
    # Points that scatter more than their errors allow have errors that are too small (Birge's ratio).
    free = max(1, len(images) - FEWEST_SIZES)
    scale = max(1.0, float(misfit.min()) / free)
    weights = np.exp(-(misfit - misfit.min()) / (2 * scale))
    drawn = generator.choice(len(weights), DRAWS, p=weights / weights.sum())
    noise = generator.normal(0, deviations[-1] * scale**0.5, DRAWS)
    return LearningCurve(
        images, accuracies, deviations, shares[drawn] * errors[drawn], errors[drawn], exponents[drawn], noise
    )


def _checked(
    images: np.ndarray, accuracies: np.ndarray, standard_errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the points by ascending number of images; raise if they are invalid."""
    images, accuracies, deviations = (
        np.asarray(values, dtype=np.float64) for values in (images, accuracies, standard_errors)
    )
    if not (images.ndim == 1 and images.shape == accuracies.shape == deviations.shape):
        raise HeadstartError(
            "Expected images, accuracies and standard_errors of the same length. "
            f"Received: {images.shape}, {accuracies.shape} and {deviations.shape}"
        )
    valid = (images > 0) & (accuracies >= 0) & (accuracies <= 1) & (deviations >= 0)  # NaN fails each
    if not valid.all() or np.unique(images).size != images.size:
        raise HeadstartError(
            "Expected different numbers of images above 0, accuracies from 0 to 1 and standard errors of at least 0. "
            f"Received: {images.tolist()}, {accuracies.tolist()} and {deviations.tolist()}"
        )
    order = np.argsort(images)
    return images[order], accuracies[order], np.maximum(deviations[order], LEAST_ERROR)


def _falls(images: np.ndarray, accuracies: np.ndarray, deviations: np.ndarray) -> bool:
    """Return whether the straight line through the points, by the logarithm of the images, falls significantly."""
    weights = deviations**-2.0
    logarithms = np.log(images)
    centred = logarithms - (weights * logarithms).sum() / weights.sum()
    spread = (weights * centred**2).sum()
    slope = (weights * centred * accuracies).sum() / spread
    return bool(slope * spread**0.5 < -SIGNIFICANT_FALL)


def _estimate(values: np.ndarray) -> Estimate:
    low, expected, high = np.quantile(values, [(1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2])
    return Estimate(float(expected), float(low), float(high))
