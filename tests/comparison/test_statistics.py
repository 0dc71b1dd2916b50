"""Confidence intervals and significance tests against known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from headstart.comparison.statistics import accuracy_interval, holm, paired_bootstrap
from headstart.core.errors import HeadstartError
from headstart.evaluation.metrics import wilson_interval
from headstart.evaluation.paired_test import mcnemar


def paired(only_first: int, only_second: int, both: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Return two classifiers' right predictions with so many images that only one of them gets right."""
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    return first, second


# Two-sided exact p-values by hand: 2 * sum of binomial coefficients up to the smaller count / 2 ** n.
@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (0, 6, 0.03125), (8, 2, 0.109375), (3, 3, 1.0), (10, 1, 24 / 2048)],
)
def test_mcnemar_is_exact(only_first: int, only_second: int, p_value: float) -> None:
    assert mcnemar(*paired(only_first, only_second)) == pytest.approx(p_value)


def test_mcnemar_agrees_with_the_binomial_test_and_ignores_agreement() -> None:
    for only_first, only_second in [(59, 6), (101, 121), (40, 20)]:
        expected = binomtest(only_second, only_first + only_second).pvalue
        assert mcnemar(*paired(only_first, only_second, both=0)) == pytest.approx(expected)
        assert mcnemar(*paired(only_first, only_second, both=999)) == pytest.approx(expected)


def test_several_seeds_give_a_t_interval() -> None:
    # Mean 0.9, standard deviation 0.01; the 0.975 quantile of t with 2 degrees of freedom is 4.302653.
    interval = accuracy_interval([0.89, 0.90, 0.91], correct=270, images=300)
    assert interval.mean == pytest.approx(0.9)
    assert interval.high - interval.mean == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)
    assert interval.method == "t, 3 seeds"


def test_a_t_interval_stays_a_share() -> None:
    interval = accuracy_interval([0.9, 1.0], correct=190, images=200)
    assert (interval.low, interval.high) == (pytest.approx(0.95 - 12.7062 * 0.05, rel=1e-4), 1.0)


def test_one_run_gives_wilsons_interval() -> None:
    interval = accuracy_interval([0.81], correct=81, images=100)
    assert (interval.low, interval.high) == wilson_interval(81, 100)
    # The values of the literature for 81 of 263: R. Newcombe, Statistics in Medicine 17 (1998), table I.
    assert wilson_interval(81, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_identical_runs_count_as_one_sample() -> None:
    interval = accuracy_interval([0.81, 0.81, 0.81], correct=243, images=300)
    assert (interval.low, interval.high) == wilson_interval(81, 100)
    assert interval.method == "Wilson, 3 seeds alike"


def test_holm_corrects_as_in_the_textbook() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


def simulated(
    generator: np.random.Generator, images: int, seeds: int, spread: float, effect: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which predictions of two strategies are right: images differ, so do strategies on them, and seeds."""
    difficulty = generator.normal(0, 1.5, images)
    first, second = (
        1.5
        + gain
        + difficulty
        + generator.normal(0, 0.5, images)
        + generator.normal(0, spread, (seeds, 1))
        + generator.normal(0, 0.7, (seeds, images))
        > 0
        for gain in (0.0, effect)
    )
    return first, second


def true_difference(spread: float, effect: float) -> float:
    scale = (1.5**2 + 0.5**2 + spread**2 + 0.7**2) ** 0.5
    return float(norm.cdf((1.5 + effect) / scale) - norm.cdf(1.5 / scale))


@pytest.mark.parametrize(
    ("seeds", "spread"), [(3, 0.6), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((3, 0.1), (5, 0.3)))]
)
def test_the_bootstrap_interval_holds_the_true_difference_95_times_of_100(seeds: int, spread: float) -> None:
    generator, truth, repetitions = np.random.default_rng(1), true_difference(spread, 0.3), 400
    held = 0
    for repetition in range(repetitions):
        first, second = simulated(generator, 150, seeds, spread, 0.3)
        found = paired_bootstrap(first, [second], seed=repetition, resamples=300)[0]
        held += found.low <= truth <= found.high
    # Two standard errors of the share are 2 points; up to 2 more on the safe side are by design.
    assert 0.925 <= held / repetitions <= 0.99


def test_the_bootstrap_seldom_finds_a_difference_where_there_is_none() -> None:
    generator, repetitions = np.random.default_rng(2), 400
    found = [
        paired_bootstrap(first, [second], seed=repetition, resamples=300)[0].p_value
        for repetition in range(repetitions)
        for first, second in [simulated(generator, 150, 3, 0.2, 0.0)]
    ]
    assert 0.005 <= np.mean(np.array(found) < 0.05) <= 0.075


def test_the_bootstrap_finds_a_large_difference_and_gives_the_same_numbers_again() -> None:
    first, second = simulated(np.random.default_rng(3), 300, 3, 0.1, 2.0)
    found = paired_bootstrap(first, [second, first])
    assert found == paired_bootstrap(first, [second, first])
    assert found[0].difference == pytest.approx(second.mean() - first.mean())
    assert found[0].p_value < 0.01
    assert found[0].low > 0
    assert found[1].difference == 0
    assert found[1].p_value == 1


def test_a_constant_difference_is_certain() -> None:
    right = np.ones((2, 20), bool)
    same, opposite = paired_bootstrap(right, [right, ~right])
    assert (same.difference, same.p_value) == (0, 1)
    assert (opposite.difference, opposite.low, opposite.high, opposite.p_value) == (-1, -1, -1, 0)


def test_other_images_are_refused() -> None:
    with pytest.raises(HeadstartError, match="same 20 images"):
        paired_bootstrap(np.ones((2, 20), bool), [np.ones((2, 19), bool)])
