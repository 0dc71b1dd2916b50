"""The learning curve: known curves are recovered within their intervals, and what says nothing is refused."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.evaluation.learning_curve import LearningCurve, NoLearningCurve, describe, extrapolate

SIZES = np.array([100, 200, 400, 800])
TESTED = 1000  # images that each accuracy is measured on


def accuracy_of(floor: float, factor: float, exponent: float, images: float | np.ndarray) -> np.ndarray:
    """Return the accuracy of a power law."""
    return 1 - floor - factor * np.asarray(images, dtype=np.float64) ** -exponent


def fitted(accuracies: np.ndarray, deviation: float = 0.005, seed: int = 0) -> LearningCurve:
    curve = extrapolate(SIZES, accuracies, np.full(len(SIZES), deviation), seed)
    assert isinstance(curve, LearningCurve)
    return curve


def test_an_exact_curve_is_continued() -> None:
    curve = fitted(accuracy_of(0.03, 1.5, 0.5, SIZES), deviation=0.001)
    for images in (1600, 3200):
        true = float(accuracy_of(0.03, 1.5, 0.5, images))
        expected, low, high = curve.at(images)
        assert low < true < high
        assert expected == pytest.approx(true, abs=0.005)
    gain, low, high = curve.slope
    assert low < float(accuracy_of(0.03, 1.5, 0.5, 1600) - accuracy_of(0.03, 1.5, 0.5, 800)) < high
    assert gain == pytest.approx(curve.at(1600).expected - curve.at(800).expected, abs=0.002)


def test_intervals_contain_the_next_measurement() -> None:
    generator = np.random.default_rng(0)
    contained = []
    for number in range(40):
        law = generator.choice([0.0, 0.05]), generator.uniform(0.5, 3.0), generator.uniform(0.3, 0.8)
        sizes = np.append(SIZES, [1600, 3200])
        measured = generator.binomial(TESTED, np.clip(accuracy_of(*law, sizes), 0.05, 1)) / TESTED
        deviations = np.sqrt(measured * (1 - measured) / TESTED)
        curve = extrapolate(SIZES, measured[:4], deviations[:4], number)
        if isinstance(curve, LearningCurve):
            for images, accuracy in zip(sizes[4:], measured[4:], strict=True):
                _, low, high = curve.at(images)
                contained.append(low <= accuracy <= high)
    assert len(contained) > 60
    assert np.mean(contained) >= 0.9


def test_an_interval_is_wider_with_less_certain_points_and_further_away() -> None:
    accuracies = accuracy_of(0.03, 1.5, 0.5, SIZES)
    widths = [
        estimate.high - estimate.low
        for estimate in (fitted(accuracies, 0.002).at(1600), fitted(accuracies, 0.01).at(1600))
    ]
    assert widths[0] < widths[1]
    curve = fitted(accuracies, 0.002)
    assert curve.at(1600).high - curve.at(1600).low < curve.at(12_800).high - curve.at(12_800).low


def test_points_that_scatter_more_than_their_errors_widen_the_interval() -> None:
    straight = accuracy_of(0.03, 1.5, 0.5, SIZES)
    scattered = straight + np.array([0.02, -0.02, 0.02, -0.02])
    widths = [fitted(one, 0.003).at(1600).high - fitted(one, 0.003).at(1600).low for one in (straight, scattered)]
    assert 2 * widths[0] < widths[1]


def test_a_flat_curve_promises_nothing() -> None:
    curve = fitted(np.full(4, 0.95), deviation=0.002)
    assert curve.slope.expected < 0.003
    assert curve.at(1600).expected == pytest.approx(0.95, abs=0.005)


def test_perfect_accuracy_stays_below_one() -> None:
    expected, low, high = fitted(np.ones(4), deviation=0.0).at(1600)
    assert 0.99 < low <= expected <= high <= 1


def test_order_of_the_points_does_not_matter_and_a_seed_repeats() -> None:
    accuracies = accuracy_of(0.03, 1.5, 0.5, SIZES)
    first = fitted(accuracies)
    backwards = extrapolate(SIZES[::-1], accuracies[::-1], np.full(4, 0.005), 0)
    assert isinstance(backwards, LearningCurve)
    assert first.at(1600) == backwards.at(1600)
    assert first.at(1600) != fitted(accuracies, seed=1).at(1600)


@pytest.mark.parametrize(
    ("images", "accuracies", "deviation", "reason"),
    [
        ([100, 200], [0.8, 0.9], 0.01, "at least 3 numbers of training images, and there are 2"),
        ([500, 600, 700], [0.8, 0.81, 0.82], 0.01, "less than twice the fewest"),
        ([100, 200, 400], [0.9, 0.8, 0.7], 0.01, "falls with more images"),
        ([100, 200, 400], [0.4, 0.6, 0.5], 0.1, "the measured points allow anything from"),
    ],
)
def test_points_that_say_nothing_are_refused(
    images: list[int], accuracies: list[float], deviation: float, reason: str
) -> None:
    curve = extrapolate(np.array(images), np.array(accuracies), np.full(len(images), deviation), 0)
    assert isinstance(curve, NoLearningCurve)
    assert reason in curve.reason
    assert describe(curve) == f"No extrapolation: {curve.reason}"


def test_the_sentence_has_images_and_interval() -> None:
    curve = fitted(accuracy_of(0.03, 1.5, 0.5, SIZES))
    expected, low, high = (100 * value for value in curve.at(1600))
    assert describe(curve) == (f"With twice the images (1,600), expect {expected:.1f} % ({low:.1f} to {high:.1f})")
    assert describe(curve, 4).startswith("With four times the images (3,200), expect ")


@pytest.mark.parametrize(
    ("images", "accuracies", "deviations"),
    [
        ([100, 200, 400], [0.8, 0.9], [0.01, 0.01, 0.01]),
        ([100, 100, 400], [0.8, 0.9, 0.9], [0.01, 0.01, 0.01]),
        ([0, 100, 400], [0.8, 0.9, 0.9], [0.01, 0.01, 0.01]),
        ([100, 200, 400], [0.8, 0.9, 1.1], [0.01, 0.01, 0.01]),
        ([100, 200, 400], [0.8, 0.9, 0.95], [0.01, np.nan, 0.01]),
    ],
)
def test_invalid_points_raise(images: list[float], accuracies: list[float], deviations: list[float]) -> None:
    with pytest.raises(HeadstartError, match="Expected"):
        extrapolate(np.array(images), np.array(accuracies), np.array(deviations), 0)
