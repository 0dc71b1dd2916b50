"""A fast linear probe: the leave-one-out accuracy of ridge regression on features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.scenario.spectrum import spectrum

# Relative to the mean squared singular value of the features: from almost no regularisation to far too much.
STRENGTHS = 10.0 ** np.arange(-4.0, 3.0, 0.5)
MIN_REMAINDER = 1e-9  # lower bound of 1 - leverage, which is 0 if the regression fits a point exactly


@dataclass(frozen=True)
class Probe:
    """The result of the best ridge regression."""

    correct: np.ndarray  # bool (n,): which images it gets right when they are left out
    strength: float  # of the regularisation, as a multiple of the mean squared singular value

    @property
    def accuracy(self) -> float:
        """The leave-one-out accuracy."""
        return float(self.correct.mean())


def probe(features: np.ndarray, labels: np.ndarray, classes: int) -> Probe:
    """Fit ridge regressions from standardised features to one-hot labels, and return the best one by leave-one-out.

    One decomposition gives the regressions of all strengths. The leave-one-out residual follows from the residual r and
    the image's leverage h: r / (1 - h). The strength with the smallest squared leave-one-out error (PRESS) is chosen.
    `sklearn.linear_model.RidgeClassifierCV` selects by the same error, but does not return each image's prediction.

    Args:
        features: (n, d), one row per image.
        labels: int (n,).
        classes: number of classes; the probe predicts the one with the largest output.

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
        leverage = (left**2) @ kept + 1 / count  # 1 / n for the intercept
        left_out = residual / np.maximum(1 - leverage, MIN_REMAINDER)[:, None]
        error = float((left_out**2).mean())
        if error < best_error:
            predicted = (one_hot - left_out).argmax(axis=1)
            best_error, best = error, Probe(predicted == labels, float(strength))
    return best


def _standardised(features: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and standard deviation 1, without constant ones."""
    deviation = features.std(axis=0, dtype=np.float64)
    changing = deviation > 1e-6 * np.maximum(np.abs(features).max(axis=0), 1e-12)
    return (features[:, changing] - features[:, changing].mean(axis=0, dtype=np.float64)) / deviation[changing]
