"""A cheap probe: how well a linear map of features tells the classes, each image judged by a map that never saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.scenario.spectrum import spectrum

# Of the mean squared singular value of the features: from next to none to far too much.
STRENGTHS = 10.0 ** np.arange(-4.0, 3.0, 0.5)
LEAST_LEFT = 1e-9  # of 1 - leverage, where a regression goes through a point whatever it is


@dataclass(frozen=True)
class Probe:
    """What the best ridge regression on some features gives."""

    correct: np.ndarray  # bool (n,): which images it gets right while they are left out
    strength: float  # of the regularisation, as a multiple of the mean squared singular value

    @property
    def accuracy(self) -> float:
        """Share of the images that it gets right while they are left out."""
        return float(self.correct.mean())


def probe(features: np.ndarray, labels: np.ndarray, classes: int) -> Probe:
    """Fit ridge regressions from standardised features to one-hot labels, and judge each image with itself left out.

    Nothing is fitted twice. One decomposition gives the regressions of all strengths, and what a regression would have
    said of an image without it follows from the residual and the image's leverage: r / (1 - h). The strength is the one
    with the smallest squared error of what was left out (PRESS).

    Args:
        features: (n, d), one row an image.
        labels: int (n,).
        classes: how many there are; the probe takes the one with the largest output.

    Source: D. M. Allen, "The relationship between variable selection and data augmentation and a method for
    prediction", Technometrics 1974; probes of layers: G. Alain, Y. Bengio, "Understanding intermediate layers using
    linear classifier probes", 2016 (https://arxiv.org/abs/1610.01644).
    """
    count = len(labels)
    one_hot = np.eye(classes)[labels]
    targets = one_hot - one_hot.mean(axis=0)
    left, squares = spectrum(_standardised(features))
    inner = left.T @ targets
    best_error, best = np.inf, Probe(np.zeros(count, bool), 0.0)
    for strength in STRENGTHS:
        kept = squares / (squares + strength * squares.mean()) if len(squares) else squares
        residual = targets - left @ (kept[:, None] * inner)
        leverage = (left**2) @ kept + 1 / count  # 1 / n is the intercept's
        without = residual / np.maximum(1 - leverage, LEAST_LEFT)[:, None]
        error = float((without**2).mean())
        if error < best_error:
            said = (one_hot - without).argmax(axis=1)
            best_error, best = error, Probe(said == labels, float(strength))
    return best


def _standardised(features: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and deviation 1, without those that never change."""
    deviation = features.std(axis=0, dtype=np.float64)
    changing = deviation > 1e-6 * np.maximum(np.abs(features).max(axis=0), 1e-12)
    return (features[:, changing] - features[:, changing].mean(axis=0, dtype=np.float64)) / deviation[changing]
