"""What can be said from so many seeds and images: intervals, paired tests, and their correction for being many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.evaluation.metrics import wilson_interval

CONFIDENCE = 0.95
RESAMPLES = 2000  # gives a standard error to about 2 %
RESAMPLES_AT_ONCE = 500  # bounds memory: so many times as many numbers as there are images


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, and what the interval is over."""

    mean: float
    low: float
    high: float
    method: str  # in a few words, for people


@dataclass(frozen=True)
class PairedDifference:
    """How much better one strategy is than another one on the same images; negative where it is worse."""

    difference: float  # of the accuracies
    low: float  # 95 % interval of the difference
    high: float
    p_value: float  # two-sided, not corrected


def accuracy_interval(accuracies: Sequence[float], correct: int, images: int, replicate: str = "seeds") -> Interval:
    """Return the mean accuracy of repeated runs with its 95 % interval.

    Several runs give Student's t interval of their mean: how far other seeds (or folds) would move it. One run, and
    runs that are all alike, give Wilson's interval over the images instead, because they say nothing about the former.

    Args:
        accuracies: one for each run, 0 to 1, at least one.
        correct: right predictions of all runs together.
        images: predictions of all runs together.
        replicate: what the runs differ in, a plural.
    """
    from scipy.stats import t

    mean, runs = float(np.mean(accuracies)), len(accuracies)
    if np.ptp(accuracies) == 0:
        # Equal runs are one look at the images, not several.
        low, high = wilson_interval(round(correct / runs), round(images / runs), CONFIDENCE)
        return Interval(mean, low, high, "Wilson, one run" if runs == 1 else f"Wilson, {runs} {replicate} alike")
    margin = float(t.ppf((1 + CONFIDENCE) / 2, runs - 1) * np.std(accuracies, ddof=1) / runs**0.5)
    return Interval(mean, max(0.0, mean - margin), min(1.0, mean + margin), f"t, {runs} {replicate}")


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the exact two-sided p-value that two classifiers are right equally often on the same images.

    Only the images that one of them gets right and the other one wrong say anything; if the two are equally good, each
    of these is a fair coin. Source: Q. McNemar, Psychometrika 12 (1947); exact, without the chi-squared approximation.

    Args:
        first: bool (images,), which ones it gets right.
        second: the same of the other classifier.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_bootstrap(
    reference: np.ndarray, others: Sequence[np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> list[PairedDifference]:
    """Compare strategies with a reference on the same images, where training was repeated.

    An image's score is the share of the seeds that get it right. Images are drawn with replacement, the same ones for
    all strategies, and the seeds of each strategy by themselves, one fewer than there are, which keeps the variance of
    a mean over few of them from being underestimated. The spread of the draws is the standard error of the difference;
    the interval and the p-value take it with Student's t, whose degrees of freedom say how few the seeds are. Sources:
    B. Efron, R. Tibshirani, An introduction to the bootstrap (1993), chapters 6 and 12; J. Rao, C. Wu, Resampling
    inference with complex survey data, JASA 83 (1988), for the one fewer; F. Satterthwaite, An approximate distribution
    of estimates of variance components, Biometrics Bulletin 2 (1946), for the degrees of freedom.

    Args:
        reference: bool (seeds, images), which predictions are right.
        others: the same of each other strategy; the seeds may be fewer or more, the images are the same.
        seed: of the draws; the same one gives the same numbers.
        resamples: how many draws.

    Raises:
        HeadstartError: when the images are not the same in number.
    """
    from scipy.stats import t

    images = reference.shape[1]
    if any(scores.shape[1] != images for scores in others):
        raise HeadstartError(
            f"Expected the predictions of every strategy for the same {images} images. "
            f"Received: {[scores.shape[1] for scores in others]}"
        )
    generator = np.random.default_rng(seed)
    differences = np.stack([scores.mean(axis=0) - reference.mean(axis=0) for scores in others], axis=1)
    observed = differences.mean(axis=0)
    over_images = _draw_images(differences, resamples, generator) - observed
    over_seeds_of_reference = _draw_seeds(reference, resamples, generator)
    results = []
    for position, scores in enumerate(others):
        parts = np.stack(
            [over_images[:, position], -over_seeds_of_reference, _draw_seeds(scores, resamples, generator)]
        )
        error = float(parts.sum(axis=0).std())
        if error == 0:  # every image and every seed says the same
            same = float(observed[position])
            results.append(PairedDifference(same, same, same, float(same == 0)))
            continue
        known = np.array([images - 1, max(len(reference) - 1, 1), max(len(scores) - 1, 1)])
        variances = parts.var(axis=1)
        freedom = variances.sum() ** 2 / (variances**2 / known).sum()
        margin = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
        difference = float(observed[position])
        p_value = float(2 * t.sf(abs(difference) / error, freedom))
        results.append(PairedDifference(difference, difference - margin, difference + margin, p_value))
    return results


def _draw_images(differences: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return means over drawn images, float (resamples, comparisons), from (images, comparisons)."""
    images = len(differences)
    even = np.full(images, 1 / images)
    counts = [min(RESAMPLES_AT_ONCE, resamples - start) for start in range(0, resamples, RESAMPLES_AT_ONCE)]
    return np.concatenate([generator.multinomial(images, even, size=count) @ differences / images for count in counts])


def _draw_seeds(scores: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return how far the mean over drawn seeds is from the mean over all, float (resamples,), from (seeds, images)."""
    accuracies = scores.mean(axis=1)
    if len(accuracies) == 1:  # says nothing about other seeds
        return np.zeros(resamples)
    chosen = generator.integers(0, len(accuracies), size=(resamples, len(accuracies) - 1))
    return accuracies[chosen].mean(axis=1) - accuracies.mean()


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being many: all conclusions at 5 % are true together with 95 %.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).

    Args:
        p_values: of all comparisons that are made, in any order.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = largest
    return corrected
