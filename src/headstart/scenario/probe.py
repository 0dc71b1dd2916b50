"""A fast linear probe: the leave-one-out accuracy of ridge regression on features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.training.ridge import fit_ridge, spectrum


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

    `sklearn.linear_model.RidgeClassifierCV` selects by the same error, but does not return each image's prediction.

    Args:
        features: (n, d), one row per image.
        labels: int (n,).
        classes: number of classes; the probe predicts the one with the largest output.

    Source: G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", 2016
    (https://arxiv.org/abs/1610.01644).
    """
    fit = fit_ridge(*spectrum(_standardised(features)), labels, classes)
    return Probe(fit.left_out.argmax(axis=1) == labels, fit.strength)


def _standardised(features: np.ndarray) -> np.ndarray:
    """Return features with mean 0 and standard deviation 1, without constant ones."""
    deviation = features.std(axis=0, dtype=np.float64)
    changing = deviation > 1e-6 * np.maximum(np.abs(features).max(axis=0), 1e-12)
    return (features[:, changing] - features[:, changing].mean(axis=0, dtype=np.float64)) / deviation[changing]
