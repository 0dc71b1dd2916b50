"""LogME: how well features suit labels, without training anything: the logarithm of the maximum evidence.

Source: K. You, Y. Liu, J. Wang, M. Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
ICML 2021 (https://arxiv.org/abs/2102.11005).
"""

from __future__ import annotations

import numpy as np

from headstart.scenario.spectrum import spectrum

MOST_STEPS = 1000
CLOSE_ENOUGH = 1e-10  # relative change of the ratio between two steps
BOUNDS = (1e-12, 1e12)  # of alpha / beta relative to the largest squared singular value; at them nothing changes more
TINY = 1e-300


def log_maximum_evidence(features: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Return LogME of features for a classification: the higher, the better a linear head will do on them.

    Each class is a Bayesian linear regression of its own, of a column that is 1 for its images and 0 for all others:
    weights with a Gaussian prior of precision alpha, Gaussian noise of precision beta. The evidence integrates the
    weights out and is maximised over alpha and beta by fixed-point steps; unlike the likelihood it does not reward
    fitting noise. LogME is its logarithm for one image, the mean over the classes.

    Args:
        features: (n, d), one row an image, as they are: neither centred nor scaled.
        labels: int (n,).
        classes: how many there are.
    """
    count = len(labels)
    targets = np.eye(classes)[labels]
    left, squares = spectrum(np.asarray(features, np.float64))
    inside = (left.T @ targets) ** 2  # (rank, classes): what of each target lies along each direction
    outside = np.maximum((targets**2).sum(axis=0) - inside.sum(axis=0), 0)  # (classes,): what lies along none
    squares = squares[:, None]
    largest = squares.max(initial=TINY)
    ratio = np.full((1, classes), largest / max(1, len(squares)))  # alpha / beta
    for _ in range(MOST_STEPS):
        before = ratio
        used = (squares / (squares + ratio)).sum(axis=0)  # gamma, the number of well-determined directions
        weights = (squares * inside / (squares + ratio) ** 2).sum(axis=0)  # squared length of the mean weights
        residual = ((ratio / (squares + ratio)) ** 2 * inside).sum(axis=0) + outside
        alpha, beta = used / np.maximum(weights, TINY), (count - used) / np.maximum(residual, TINY)
        ratio = np.clip(alpha / np.maximum(beta, TINY), BOUNDS[0] * largest, BOUNDS[1] * largest)[None, :]
        if np.all(np.abs(ratio - before) <= CLOSE_ENOUGH * before):
            break
    return float(_evidence(squares, inside, outside, ratio, count).mean() / count)


def _evidence(
    squares: np.ndarray, inside: np.ndarray, outside: np.ndarray, ratio: np.ndarray, count: int
) -> np.ndarray:
    """Return the logarithm of the evidence of each class at a ratio alpha / beta and the beta that is best for it."""
    error = (ratio / (squares + ratio) * inside).sum(axis=0) + outside  # y' (I + F F' / ratio)^-1 y
    beta = count / np.maximum(error, TINY)
    return 0.5 * (count * np.log(beta / (2 * np.pi)) - count - np.log1p(squares / ratio).sum(axis=0))
