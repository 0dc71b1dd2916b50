"""How far a classifier's confidence is from its accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.evaluation.checks import checked_predictions

BINS = 15  # as in most papers
ADAPTIVE_BINS = 10
FEWEST_IMAGES = 50  # of an adaptive bin: the accuracy of fewer says little


@dataclass(frozen=True, eq=False)
class CalibrationBins:
    """How often predictions of a given confidence are right."""

    edges: np.ndarray  # (bins + 1,) from 0 to 1; a bin includes its upper edge
    correct: np.ndarray  # int (bins,) right predictions in the bin
    counts: np.ndarray  # int (bins,) predictions in the bin
    confidence: np.ndarray  # (bins,) mean probability of the predicted class; NaN in an empty bin
    accuracy: np.ndarray  # (bins,) fraction that is right; NaN in an empty bin

    @property
    def error(self) -> float:
        """The expected calibration error: the gap between confidence and accuracy, averaged over images."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> CalibrationBins:
    """Sort predictions into bins of equal width by confidence, and compare each bin's confidence with its accuracy.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017, equations 2 to 5.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        bins: number of bins between 0 and 1, at least 1.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    labels, probabilities = checked_predictions(labels, probabilities)
    return _sorted_into(np.linspace(0, 1, bins + 1), labels, probabilities)


def adaptive_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int = ADAPTIVE_BINS) -> CalibrationBins:
    """Sort predictions into bins of as many images each, and compare each bin's confidence with its accuracy.

    Most predictions of a good classifier have a confidence near one, where bins of equal width tell little. Images of
    the same confidence share a bin, so that some bins may have more images than others.

    Source: K. Nguyen and B. O'Connor, Posterior calibration and exploratory analysis for natural language processing
    models, EMNLP 2015, section 3.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        bins: number of bins at most, at least 1; fewer if they would have less than FEWEST_IMAGES.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    labels, probabilities = checked_predictions(labels, probabilities)
    confidence = np.sort(probabilities.max(axis=1))
    images = len(confidence)
    bins = int(np.clip(images // FEWEST_IMAGES, 1, bins))
    upper = confidence[np.arange(1, bins) * images // bins - 1]  # the last image of each bin but the highest
    inner = np.unique(upper[upper < confidence[-1]])
    return _sorted_into(np.concatenate([[0], inner, [1]]), labels, probabilities)


def _sorted_into(edges: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> CalibrationBins:
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = len(edges) - 1
    positions = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(positions, minlength=bins)
    correct = np.bincount(positions[right], minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    return CalibrationBins(
        edges=edges,
        correct=correct,
        counts=counts,
        confidence=np.bincount(positions, weights=confidence, minlength=bins) / filled,
        accuracy=correct / filled,
    )
