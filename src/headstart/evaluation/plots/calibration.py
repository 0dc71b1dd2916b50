"""Reliability diagrams: how well the classifier's confidence is calibrated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.calibration import CalibrationBins, adaptive_bins, calibration_bins
from headstart.evaluation.metrics import wilson_interval
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTOGRAM_BINS = 20


def calibration_figure(labels: np.ndarray, probabilities: np.ndarray, title: str, source: str = "") -> Figure:
    """Draw the reliability diagram above a histogram of the confidences.

    Below the diagonal the classifier is overconfident, above it underconfident. Every point stands for as many images,
    because most confidences are near one. Each has its 95 % interval, because few images mislead.

    Args:
        labels: int (images,).
        probabilities: float (images, classes), rows sum to one.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    bins, confidence = adaptive_bins(labels, probabilities), probabilities.max(axis=1)
    figure = style.new_figure(style.WIDTH, 8.0)
    style.add_title(figure, title, source)
    reliability, histogram = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    lowest = _lowest(confidence, [bins])
    _draw_reliability(reliability, bins, lowest, style.BLUE, "o", "this classifier, with 95 % intervals")
    error = calibration_bins(labels, probabilities).error
    reliability.set_title(
        f"{_counts(bins)}; expected calibration error {error:.3f} (15 bins of equal width), {bins.error:.3f} (these)",
        size=10,
    )
    reliability.set_ylabel("accuracy")
    figure.legend(*reliability.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    _draw_histogram(histogram, confidence, lowest, style.BLUE)
    histogram.set_ylabel("images")
    return figure


def temperature_figure(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, temperature: float, title: str, source: str = ""
) -> Figure:
    """Draw the reliability diagrams before and after temperature scaling side by side, on the same axes.

    Args:
        labels: int (images,).
        before: float (images, classes), the probabilities at temperature 1, rows sum to one.
        after: the same at the temperature.
        temperature: above 0.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.

    Raises:
        HeadstartError: when the split is empty, or labels and probabilities do not match.
    """
    figure = style.new_figure(style.WIDTH, 6.6)
    style.add_title(figure, title, source)
    panels = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=[3, 1])
    found = [adaptive_bins(labels, probabilities) for probabilities in (before, after)]
    lowest = min(_lowest(one.max(axis=1), found) for one in (before, after))
    looks = [
        (style.VERMILION, "s", "before: temperature 1"),
        (style.BLUE, "o", f"after: temperature {temperature:.3g}"),
    ]
    for column, (probabilities, bins, look) in enumerate(zip((before, after), found, looks, strict=True)):
        reliability, histogram = panels[0, column], panels[1, column]
        _draw_reliability(reliability, bins, lowest, *look)
        error = calibration_bins(labels, probabilities).error
        reliability.set_title(f"{look[2]}\nexpected calibration error {error:.3f}", size=10)
        _draw_histogram(histogram, probabilities.max(axis=1), lowest, look[0])
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("images")
    handles = [axes.get_legend_handles_labels()[0] for axes in panels[0]]
    names = ["perfectly calibrated", "before, with 95 % intervals", "after, with 95 % intervals"]
    figure.legend([*handles[0], handles[1][1]], names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_reliability(axes: Axes, bins: CalibrationBins, lowest: float, color: str, marker: str, label: str) -> None:
    from matplotlib.ticker import PercentFormatter

    filled = np.flatnonzero(bins.counts)
    accuracy = bins.accuracy[filled]
    # Rounding may put the accuracy outside its interval by 1e-17, but error bars must not be negative.
    lengths = np.abs(_intervals(bins) - accuracy[:, None]).T
    axes.plot([0, 1], [0, 1], color=style.GREY, linestyle="--", label="perfectly calibrated")
    axes.errorbar(
        bins.confidence[filled],
        accuracy,
        yerr=lengths,
        color=color,
        marker=marker,
        markersize=5,
        linewidth=1,
        capsize=3,
        label=label,
    )
    edge = 0.02 * (1 - lowest)
    axes.set_xlim(lowest - edge, 1 + edge)
    axes.set_ylim(lowest - edge, 1 + edge)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1))
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)


def _draw_histogram(axes: Axes, confidence: np.ndarray, lowest: float, color: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

    counts, edges = np.histogram(confidence, HISTOGRAM_BINS, (lowest, 1.0))
    axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=color, ec="white")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("confidence: probability of the predicted class")


def _intervals(bins: CalibrationBins) -> np.ndarray:
    """Return the 95 % interval of the accuracy in each bin with images, (filled bins, 2)."""
    pairs = zip(bins.correct, bins.counts, strict=True)
    return np.array([wilson_interval(int(correct), int(count)) for correct, count in pairs if count])


def _lowest(confidence: np.ndarray, bins: list[CalibrationBins]) -> float:
    """Return where the axes begin, a multiple of a tenth: everything is visible, and the top is not squeezed."""
    ends = [float(confidence.min()), *(float(_intervals(one).min()) for one in bins)]
    return math.floor(10 * min(ends)) / 10


def _counts(bins: CalibrationBins) -> str:
    """Return how many images the points stand for."""
    filled = bins.counts[bins.counts > 0]
    low, high = int(filled.min()), int(filled.max())
    images = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"1 bin of {images} images" if len(filled) == 1 else f"{len(filled)} bins of {images} images"
