"""Statistics over seeds and images: confidence intervals, paired tests, correction for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.evaluation.metrics import wilson_interval

CONFIDENCE = 0.95
RESAMPLES = 2000  # gives a standard error to about 2 %
RESAMPLES_AT_ONCE = 500  # bounds memory to this many numbers per image


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    method: str  # in a few words, for people


@dataclass(frozen=True)
class PairedDifference:
    """The difference in accuracy of two strategies on the same images."""

    difference: float  # of the accuracies; negative if the second strategy is worse
    low: float  # 95 % interval of the difference
    high: float
    p_value: float  # two-sided, not corrected


def accuracy_interval(accuracies: Sequence[float], correct: int, images: int, replicate: str = "seeds") -> Interval:
    """Return the mean accuracy of repeated runs with its 95 % interval.

    Several runs give Student's t interval of their mean, which covers other seeds or folds. One run, or runs with
    identical accuracy, give no such spread; Wilson's interval over the images is returned instead.

    Args:
        accuracies: one for each run, 0 to 1, at least one.
        correct: right predictions of all runs together.
        images: predictions of all runs together.
        replicate: what the runs differ in, as a plural noun for people.
    """
    from scipy.stats import t

    mean, runs = float(np.mean(accuracies)), len(accuracies)
    if np.ptp(accuracies) == 0:
        # Identical runs count as one sample of the images, not several.
        low, high = wilson_interval(round(correct / runs), round(images / runs), CONFIDENCE)
        return Interval(mean, low, high, "Wilson, one run" if runs == 1 else f"Wilson, {runs} {replicate} alike")
    margin = float(t.ppf((1 + CONFIDENCE) / 2, runs - 1) * np.std(accuracies, ddof=1) / runs**0.5)
    return Interval(mean, max(0.0, mean - margin), min(1.0, mean + margin), f"t, {runs} {replicate}")


def paired_bootstrap(
    reference: np.ndarray, others: Sequence[np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> list[PairedDifference]:
    """Compare strategies with a reference strategy on the same images by a bootstrap over images and seeds.

    An image's score is the share of seeds that get it right. Images are drawn with replacement, the same for all
    strategies. Seeds are drawn per strategy, one fewer than there are, so that the variance of a mean over few seeds is
    not underestimated. The spread of the draws is the standard error of the difference. Interval and p-value follow
    from Student's t, with degrees of freedom that reflect the number of seeds. `scipy.stats.bootstrap` resamples one
    axis only. Sources: B. Efron, R. Tibshirani, An introduction to the bootstrap (1993), chapters 6 and 12; J. Rao,
    C. Wu, Resampling inference with complex survey data, JASA 83 (1988), for one seed fewer; F. Satterthwaite, An
    approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946), for the degrees of
    freedom.

    Args:
        reference: bool (seeds, images), which predictions are right.
        others: the same for each other strategy; the number of seeds may differ, the images are the same.
        seed: of the draws.
        resamples: number of draws.

    Raises:
        HeadstartError: when the numbers of images differ.
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
        if error == 0:  # all images and seeds give the same difference
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
    """Return mean accuracies over drawn seeds minus that over all seeds, float (resamples,), from (seeds, images)."""
    accuracies = scores.mean(axis=1)
    if len(accuracies) == 1:  # one seed has no spread
        return np.zeros(resamples)
    chosen = generator.integers(0, len(accuracies), size=(resamples, len(accuracies) - 1))
    return accuracies[chosen].mean(axis=1) - accuracies.mean()


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons by Holm's method, which SciPy lacks.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).

    Args:
        p_values: of all comparisons, in any order.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = largest
    return corrected
