"""LogME, the logarithm of the maximum evidence: scores how well features suit labels without training.

Source: K. You, Y. Liu, J. Wang, M. Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
ICML 2021 (https://arxiv.org/abs/2102.11005).
"""

from __future__ import annotations

import numpy as np

from headstart.training.ridge import spectrum

MAX_STEPS = 1000
TOLERANCE = 1e-10  # relative change of the ratio between two steps at which the iteration stops
BOUNDS = (1e-12, 1e12)  # of alpha / beta relative to the largest squared singular value
TINY = 1e-300


def log_maximum_evidence(features: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Return the LogME score of features for a classification: the higher, the better a linear head will do on them.

    Each class is a Bayesian linear regression onto a target that is 1 for its images and 0 for all others, with a
    Gaussian prior of precision alpha on the weights and Gaussian noise of precision beta. The evidence integrates out
    the weights and is maximised over alpha and beta by fixed-point iteration; unlike the likelihood it does not reward
    fitting noise. LogME is its logarithm per image, averaged over the classes.

    Args:
        features: (n, d), one row per image, neither centred nor scaled.
        labels: int (n,).
        classes: number of classes.
    """
    count = len(labels)
    targets = np.eye(classes)[labels]
    left, squares = spectrum(np.asarray(features, np.float64))
    inside = (left.T @ targets) ** 2  # (rank, classes): squared projection of each target onto each direction
    outside = np.maximum((targets**2).sum(axis=0) - inside.sum(axis=0), 0)  # (classes,): squared remainder
    squares = squares[:, None]
    largest = squares.max(initial=TINY)
    ratio = np.full((1, classes), largest / max(1, len(squares)))  # alpha / beta
    for _ in range(MAX_STEPS):
        before = ratio
        used = (squares / (squares + ratio)).sum(axis=0)  # gamma, the number of well-determined directions
        weights = (squares * inside / (squares + ratio) ** 2).sum(axis=0)  # squared length of the mean weights
        residual = ((ratio / (squares + ratio)) ** 2 * inside).sum(axis=0) + outside
        alpha, beta = used / np.maximum(weights, TINY), (count - used) / np.maximum(residual, TINY)
        ratio = np.clip(alpha / np.maximum(beta, TINY), BOUNDS[0] * largest, BOUNDS[1] * largest)[None, :]
        if np.all(np.abs(ratio - before) <= TOLERANCE * before):
            break
    return float(_evidence(squares, inside, outside, ratio, count).mean() / count)


def _evidence(
    squares: np.ndarray, inside: np.ndarray, outside: np.ndarray, ratio: np.ndarray, count: int
) -> np.ndarray:
    """Return the log evidence of each class at a ratio alpha / beta and its optimal beta."""
    error = (ratio / (squares + ratio) * inside).sum(axis=0) + outside  # y' (I + F F' / ratio)^-1 y
    beta = count / np.maximum(error, TINY)
    return 0.5 * (count * np.log(beta / (2 * np.pi)) - count - np.log1p(squares / ratio).sum(axis=0))
