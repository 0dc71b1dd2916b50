"""The one decomposition that the probes and LogME rest on."""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-11  # of the largest squared singular value; below is rounding


def spectrum(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the left singular vectors (n, rank) of features and their squared singular values (rank,).

    By the smaller of the two Gram matrices, which takes a fraction of the time of a singular value decomposition.

    Args:
        features: float64 (n, d).
    """
    rows, columns = features.shape
    wide = rows <= columns
    squares, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    large = squares > SMALLEST * max(squares.max(initial=0), np.finfo(float).tiny)
    squares, vectors = squares[large], vectors[:, large]
    return (vectors if wide else features @ vectors / np.sqrt(squares)), squares
