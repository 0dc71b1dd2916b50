"""A linear head on features that need not fit into memory: ridge regression in blocks, calibrated to probabilities.

Features are standardised, and every depth has the same total variance, so that a deep layer with a thousand channels
does not outvote a shallow one with thirty. The regression is solved in the span of up to LANDMARKS images: exactly if
there are no more training images, else by the Nyström method (C. Williams, M. Seeger, "Using the Nyström method to
speed up kernel machines", NIPS 2000).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.batch_order import blocks_of
from headstart.training.linear_head import LinearClassifier
from headstart.training.ridge import fit_ridge, spectrum
from headstart.training.temperature import best_factor

if TYPE_CHECKING:
    from headstart.data.pixel_cache import Batches

LANDMARKS = 2048  # images whose features span the solution; the time grows with its cube
SMALLEST_DEVIATION = 1e-3  # relative to the median of its depth; a channel that moves less is noise


@dataclass(frozen=True)
class _Scaling:
    """Standardises features, with a factor for each depth."""

    mean: np.ndarray  # (d,)
    factor: np.ndarray  # (d,)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self.mean) * self.factor).astype(np.float32)


@dataclass(frozen=True)
class ChosenColumns:
    """Some columns of other rows."""

    rows: Batches
    columns: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return (self.columns.stop - self.columns.start,)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.rows.dtype

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield (batch, columns) for each array of positions."""
        return (batch[:, self.columns] for batch in self.rows.batches(order))


def fit_on_every_depth(
    rows: Batches, depths: Sequence[slice], labels: np.ndarray, class_weights: np.ndarray, seed: int
) -> LinearClassifier:
    """Fit a linear classifier on all depths, and say how accurate one on the last depth alone would be.

    Args:
        rows: as all arguments of `fit_ridge_head`.
        depths: from the shallowest to the deepest.
        labels: of the images.
        class_weights: of the classes.
        seed: of the landmarks.
    """
    fitted = fit_ridge_head(rows, depths, labels, class_weights, seed)
    if len(depths) == 1:
        return fitted
    last = ChosenColumns(rows, depths[-1])
    alone = fit_ridge_head(last, (slice(0, last.shape[0]),), labels, class_weights, seed)
    return replace(fitted, last_depth_accuracy=alone.accuracy)


def fit_ridge_head(
    rows: Batches,
    depths: Sequence[slice],
    labels: np.ndarray,
    class_weights: np.ndarray,
    seed: int,
) -> LinearClassifier:
    """Fit a linear classifier by ridge regression, with the strength of the smallest leave-one-out error.

    The regression's outputs become probabilities through a softmax at the temperature that fits the left-out labels
    best; it changes no prediction.

    Args:
        rows: features of each image, (n, d); read in blocks.
        depths: columns of each depth.
        labels: int (n,), from 0.
        class_weights: float (classes,).
        seed: of the choice of the landmarks.
    """
    weights, classes = class_weights[labels], len(class_weights)
    scaling = _scaling(rows, depths, weights)
    chosen = _landmarks(labels, seed)
    root = np.sqrt(weights).astype(np.float32)[:, None]
    landmarks = root[chosen] * np.concatenate([scaling(block) for _, block in _blocks(rows, chosen)])
    left, squares = spectrum(landmarks)
    basis = landmarks.T @ (left / np.sqrt(squares))  # (d, rank), orthonormal
    if len(chosen) < len(labels):
        projected = np.concatenate(
            [root[positions] * (scaling(block) @ basis) for positions, block in _blocks(rows, np.arange(len(labels)))]
        )
        left, squares = spectrum(projected)
        basis = basis @ (projected.T @ (left / np.sqrt(squares)))
    fit = fit_ridge(left.astype(np.float64), squares.astype(np.float64), labels, classes, weights)
    factor = best_factor(fit.left_out[None], labels)
    kernel = (basis @ fit.directions) * scaling.factor[:, None] * factor
    shares = np.bincount(labels, weights=weights, minlength=classes) / weights.sum()
    return LinearClassifier(
        kind="ridge",
        kernel=kernel,
        bias=shares * factor - scaling.mean @ kernel,
        regularisation=fit.strength,
        accuracy=fit.accuracy(labels),
        converged=True,
    )


def _scaling(rows: Batches, depths: Sequence[slice], weights: np.ndarray) -> _Scaling:
    """Return what gives each feature the weighted mean 0 and variance 1 / channels of its depth."""
    total, squares = np.zeros(rows.shape[-1]), np.zeros(rows.shape[-1])
    for positions, block in _blocks(rows, np.arange(len(weights))):
        values = block.astype(np.float64)
        total += weights[positions] @ values
        squares += weights[positions] @ values**2
    mean = total / weights.sum()
    deviation = np.sqrt(np.maximum(squares / weights.sum() - mean**2, 0))
    factor = np.zeros_like(mean)
    for columns in depths:
        typical = float(np.median(deviation[columns]))
        smallest = max(SMALLEST_DEVIATION * typical, float(np.finfo(np.float32).tiny))
        channels = columns.stop - columns.start
        factor[columns] = np.maximum(deviation[columns], smallest) ** -1 / channels**0.5
    return _Scaling(mean, factor)


def _landmarks(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the sorted positions of up to LANDMARKS images, with as even a share of each class as there is."""
    if len(labels) <= LANDMARKS:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), int)  # of each image within its class
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = np.arange(len(members))
    return np.sort(shuffled[np.argsort(rank[shuffled], kind="stable")][:LANDMARKS])


def _blocks(rows: Batches, positions: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions and their features, a few images at a time."""
    order = blocks_of(positions)
    return zip(order, rows.batches(iter(order)), strict=True)
