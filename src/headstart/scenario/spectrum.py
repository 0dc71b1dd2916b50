"""The matrix decomposition that the probes and LogME share."""

from __future__ import annotations

import numpy as np

SMALLEST = 1e-11  # relative to the largest squared singular value; smaller ones are rounding errors


def spectrum(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the left singular vectors (n, rank) of features and their squared singular values (rank,).

    It decomposes the smaller Gram matrix, in a fraction of the time of `numpy.linalg.svd`.

    Args:
        features: float64 (n, d).
    """
    rows, columns = features.shape
    wide = rows <= columns
    squares, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    large = squares > SMALLEST * max(squares.max(initial=0), np.finfo(float).tiny)
    squares, vectors = squares[large], vectors[:, large]
    return (vectors if wide else features @ vectors / np.sqrt(squares)), squares
