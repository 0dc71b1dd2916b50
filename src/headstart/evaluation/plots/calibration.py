"""The reliability diagram: how well the classifier's confidence is calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.calibration import calibration_bins
from headstart.evaluation.metrics import wilson_interval
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration_figure(labels: np.ndarray, probabilities: np.ndarray, title: str) -> Figure:
    """Draw the reliability diagram above a histogram of the confidences.

    Below the diagonal the classifier is overconfident, above it underconfident. Each bin has its 95 % interval, because
    bins with few images mislead.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        title: wrapped if it is too long.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    bins = calibration_bins(labels, probabilities)
    filled = np.flatnonzero(bins.counts)
    intervals = np.array([wilson_interval(int(bins.correct[i]), int(bins.counts[i])) for i in filled])
    accuracy = bins.accuracy[filled]
    # Rounding may put the accuracy outside its interval by 1e-17, but error bars must not be negative.
    lengths = np.abs(np.stack([accuracy - intervals[:, 0], intervals[:, 1] - accuracy]))

    figure = style.new_figure(style.WIDTH, 8.0)
    style.add_title(figure, title)
    reliability, histogram = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    reliability.plot([0, 1], [0, 1], color=style.GREY, linestyle="--", label="perfectly calibrated")
    reliability.errorbar(
        bins.confidence[filled],
        accuracy,
        yerr=lengths,
        color=style.BLUE,
        marker="o",
        capsize=3,
        label="this classifier, with 95 % interval",
    )
    reliability.set_title(
        f"expected calibration error {bins.error:.3f} ({len(bins.counts)} bins, images: {bins.counts.sum():,})", size=11
    )
    reliability.set_ylabel("accuracy")
    reliability.set_ylim(-0.02, 1.02)
    reliability.set_xlim(-0.02, 1.02)
    reliability.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    reliability.grid(color=style.LIGHT_GREY)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)

    histogram.bar(bins.edges[:-1], bins.counts, width=np.diff(bins.edges), align="edge", color=style.BLUE, ec="white")
    histogram.set_ylabel("images")
    histogram.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    histogram.set_xlabel("confidence: probability of the predicted class")
    histogram.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure
