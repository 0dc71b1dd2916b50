"""The advised threshold of a classifier of two classes: above which probability an image gets the second class.

It has the highest balanced accuracy on the validation images (Youden's index), which does not depend on which class is
the second one, nor on how frequent it is. W. J. Youden, Index for rating diagnostic tests, Cancer 3 (1950).
"""

from __future__ import annotations

import math

import numpy as np

from headstart.evaluation.checks import checked_predictions
from headstart.results.threshold import ThresholdAdvice, ThresholdFigures

HALF = 0.5  # gives every image its likelier class
# Standard errors by which another threshold has to be better than HALF, because the best of many thresholds on a few
# images is better by chance. In simulations with 50 to 1,000 images, one error kept most of the gain where one class is
# rare (6.7 of 9.9 points of balanced accuracy with 50 images), and cost 0.7 points at most where both are frequent.
CLEAR_GAIN = 1.0


def advise_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the threshold with the highest balanced accuracy, or 0.5 where no other is clearly better.

    It lies in the middle between two images' probabilities, as near to 0.5 as possible among equally good ones.

    Args:
        labels: int (images,), 0 or 1.
        probabilities: float (images, 2), rows sum to one.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    labels, probabilities = checked_predictions(labels, probabilities)
    second = probabilities[:, 1]
    images = np.bincount(labels, minlength=2)
    if not images.all():  # no balance to find
        return HALF
    values = np.unique(second)
    # Between two values every threshold gives the same labels; beyond the ends all images have one class.
    low, high = np.concatenate([[0.0], values]), np.concatenate([values, [1.0]])
    candidates = np.where((low <= HALF) & (high > HALF), HALF, (low + high) / 2)
    order = np.argsort(second, kind="stable")
    counts = np.searchsorted(second[order], low[1:], side="right")  # images that the higher candidates call the first
    rejected = np.concatenate([[0], np.cumsum(labels[order])[counts - 1]])  # those of the second class among them
    recalls = np.stack([np.concatenate([[0], counts]) - rejected, images[1] - rejected]) / images[:, None]
    balanced = recalls.mean(axis=0)
    best = np.flatnonzero(np.isclose(balanced, balanced.max(), rtol=0, atol=1e-12))
    chosen = best[np.argmin(np.abs(candidates[best] - HALF))]
    [half] = np.flatnonzero(candidates == HALF)
    # Moving the threshold makes images of one class right, and images of the other wrong: as in McNemar's test, the
    # error is that of as many images that go either way by chance.
    changed = np.abs(recalls[:, chosen] - recalls[:, half])
    error = math.sqrt(float((changed / images).sum())) / 2
    clear = balanced[chosen] - balanced[half] > CLEAR_GAIN * error + 1e-12
    return float(candidates[chosen]) if clear else HALF


def threshold_figures(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> ThresholdFigures:
    """Return the figures of a split whose images get the second class above a threshold.

    Args:
        labels: int (images,), 0 or 1; at least one image.
        probabilities: float (images, 2).
        threshold: on the probability of the second class, 0 to 1.
    """
    called, belongs = probabilities[:, 1] > threshold, labels == 1
    hits = int((called & belongs).sum())
    recalls = [float((called == belongs)[belongs == one].mean()) for one in (False, True) if (belongs == one).any()]
    return ThresholdFigures(
        accuracy=float((called == belongs).mean()),
        balanced_accuracy=float(np.mean(recalls)),
        precision=hits / int(called.sum()) if called.any() else 0.0,
        recall=hits / int(belongs.sum()) if belongs.any() else None,
    )


def threshold_advice(
    splits: dict[str, tuple[np.ndarray, np.ndarray]], class_names: tuple[str, ...]
) -> ThresholdAdvice | None:
    """Return the threshold that the validation images advise, with what it gives; None unless there are two classes.

    Args:
        splits: labels and probabilities of each evaluated split.
        class_names: of the columns of the probabilities.
    """
    if len(class_names) != 2 or "validation" not in splits:
        return None
    threshold = advise_threshold(*splits["validation"])
    return ThresholdAdvice(
        second_class=class_names[1],
        threshold=threshold,
        at_half={name: threshold_figures(*split, HALF) for name, split in splits.items()},
        at_threshold={name: threshold_figures(*split, threshold) for name, split in splits.items()},
    )
