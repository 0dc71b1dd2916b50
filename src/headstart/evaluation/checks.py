"""Checks the labels and probabilities that metrics are computed from."""

from __future__ import annotations

import numpy as np

from headstart.core.errors import HeadstartError

# Half-precision outputs do not sum to one exactly; logits and independent sigmoids are off by far more than this.
SUM_TOLERANCE = 1e-2


def checked_predictions(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as int64 and probabilities as float64 with rows that sum to one.

    Args:
        labels: int (images,), from 0 to below the number of classes.
        probabilities: float (images, classes).

    Raises:
        HeadstartError: when there are no images, or labels and probabilities are invalid or do not match.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise HeadstartError(
            "Expected labels of shape (images,) and probabilities of shape (images, classes). "
            f"Received: {labels.shape} and {probabilities.shape}"
        )
    if probabilities.size == 0:
        raise HeadstartError("Expected a split with at least one image to evaluate. Received: an empty split")
    classes = probabilities.shape[1]
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        raise HeadstartError(
            f"Expected labels to be integers from 0 to {classes - 1}, one for each class. "
            f"Received: {labels.dtype} from {labels.min()} to {labels.max()}"
        )
    sums = probabilities.sum(axis=1)
    bad = ~((probabilities >= 0).all(axis=1) & (np.abs(sums - 1) <= SUM_TOLERANCE))  # NaN fails both comparisons
    if bad.any():
        first = int(bad.argmax())
        raise HeadstartError(
            "Expected probabilities that are not negative and sum to one for each image; NaN means that training "
            f"diverged, try a smaller learning rate. Received: {bad.sum()} of {len(labels)} images are different, "
            f"the first is image {first} with the sum {sums[first]:.4g} and the smallest value "
            f"{probabilities[first].min():.4g}"
        )
    return labels.astype(np.int64), probabilities / sums[:, None]
