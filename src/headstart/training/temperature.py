"""Temperature scaling: the one factor on a classifier's scores at which its probabilities fit held-out labels best.

Source: C. Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import numpy as np

LOG_BOUNDS = (-3.0, 5.0)  # of the factor's natural logarithm: temperatures from 20 down to 0.007


def best_factor(scores: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> float:
    """Return the factor on the scores, the inverse of the temperature, at which their cross-entropy is lowest.

    Args:
        scores: logits, float (views, n, classes): one view of the images, or several whose probabilities are averaged.
        labels: int (n,), from 0.
        smoothing: share of each target that is spread over the other classes, 0 to below 1. Without it, scores that
            are right for every image would get the largest factor of all.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda exponent: cross_entropy(scores * np.exp(exponent), labels, smoothing),
        bounds=LOG_BOUNDS,
        method="bounded",
    )
    return float(np.exp(found.x))


def cross_entropy(scores: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> float:
    """Return the mean cross-entropy of the probabilities that belong to scores.

    Args:
        scores: as in `best_factor`.
        labels: as in `best_factor`.
        smoothing: as in `best_factor`.
    """
    from scipy.special import log_softmax, logsumexp

    logarithms = logsumexp(log_softmax(scores, axis=2), axis=0) - np.log(len(scores))
    of_true_class = logarithms[np.arange(len(labels)), labels]
    whole = float(-of_true_class.mean())
    if not smoothing:
        return whole
    of_others = (logarithms.sum(axis=1) - of_true_class) / (scores.shape[2] - 1)
    return (1 - smoothing) * whole - smoothing * float(of_others.mean())


def smoothing_for(images: int) -> float:
    """Return the smoothing of the targets for a number of images.

    Even scores that are right for all of them leave the chance of a mistake open, as by Laplace's rule of succession.
    Source: J. Platt, Probabilistic outputs for support vector machines, 1999, section 2.2.

    Args:
        images: at least 1.
    """
    return 1 / (images + 2)
