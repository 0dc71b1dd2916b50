"""The figure of learning curves: accuracy against the number of training images, and what more of them would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.comparison.figures import CURVE_COLOURS, LABEL_SIZE, MAX_CURVES
from headstart.comparison.learning_curves import StrategyCurve
from headstart.evaluation.learning_curve import LearningCurve, NoLearningCurve
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^Dv<>p*X"
TIMES = (2, 4)  # of the most images, that are extrapolated to
ASIDE = 1.02  # factor between the positions of two curves' points, so that their intervals do not hide each other
NEAREST_TICKS = 1.25  # smallest factor between two labelled numbers of images


def learning_curve_figure(curves: Sequence[StrategyCurve]) -> Figure:
    """Draw the accuracy of each strategy against the training images, with intervals, continued to four times as many.

    Args:
        curves: at least one, in the order of the table; only the first MAX_CURVES are drawn.
    """
    from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

    shown = curves[:MAX_CURVES]
    figure = style.new_figure(style.WIDTH, 5.0 + 0.24 * len(shown))
    split = shown[0].split.capitalize() if len({curve.split for curve in shown}) == 1 else "Test or validation"
    style.add_title(figure, f"{split} accuracy by number of training images, with 95 % intervals")
    axes = figure.subplots()
    axes.set_xscale("log")
    for number, curve in enumerate(shown):
        _draw(axes, curve, number, ASIDE ** (number - (len(shown) - 1) / 2))
    axes.set_xticks(image_ticks(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("training images (logarithmic)")
    axes.set_ylabel(f"{split.lower()} accuracy")
    axes.grid(axis="y", color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    if any(isinstance(curve.law, LearningCurve) for curve in shown):
        _mark_extrapolated(axes, max(curve.points[-1].images for curve in shown))
    legend = figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=LABEL_SIZE)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(axes: Axes, curve: StrategyCurve, number: int, aside: float) -> None:
    """Draw one curve: filled points and a solid line as far as measured, then open points and a dashed line."""
    colour, marker = CURVE_COLOURS[number % len(CURVE_COLOURS)], MARKERS[number]
    images = np.array([point.images for point in curve.points])
    accuracies = np.array([point.accuracy.mean for point in curve.points])
    bounds = np.array([[point.accuracy.low, point.accuracy.high] for point in curve.points])
    common: dict[str, Any] = {
        "color": colour,
        "marker": marker,
        "markersize": 6,
        "linestyle": "none",
        "capsize": 2,
        "elinewidth": 1,
    }
    axes.errorbar(
        images * aside, accuracies, yerr=_lengths(accuracies, bounds), label=_label(curve), alpha=0.9, **common
    )
    if isinstance(curve.law, NoLearningCurve):
        axes.plot(images * aside, accuracies, color=colour, linewidth=1, linestyle=":")
        return
    measured = np.geomspace(images[0], images[-1], 50)
    further = np.geomspace(images[-1], images[-1] * TIMES[-1], 20)
    for part, line in ((measured, "-"), (further, "--")):
        axes.plot(
            part * aside, [curve.law.at(one).expected for one in part], color=colour, linewidth=1.5, linestyle=line
        )
    estimates = np.array([curve.law.at(times * images[-1]) for times in TIMES])
    axes.errorbar(
        images[-1] * np.array(TIMES) * aside,
        estimates[:, 0],
        yerr=_lengths(estimates[:, 0], estimates[:, 1:]),
        markerfacecolor="white",
        **common,
    )


def _lengths(centres: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the lengths of error bars below and above the centres, (2, points)."""
    return np.maximum(0, np.stack([centres - bounds[:, 0], bounds[:, 1] - centres]))


def _label(curve: StrategyCurve) -> str:
    """Return the strategy and what twice the images would give, in one line of the legend."""
    if isinstance(curve.law, NoLearningCurve):
        expected = "not extrapolated"
    else:
        middle, low, high = (100 * value for value in curve.law.at(TIMES[0] * curve.points[-1].images))
        expected = f"{middle:.1f} % ({low:.1f} to {high:.1f}) expected with twice the images"
    if not curve.label:
        return expected
    room = style.WIDTH - 1.0 - style.text_width(f": {expected}", LABEL_SIZE)
    return f"{style.shorten(curve.label, LABEL_SIZE, room)}: {expected}"


def image_ticks(curves: Sequence[StrategyCurve]) -> list[float]:
    """Return the numbers of images to label: those measured and extrapolated to, without close ones.

    Args:
        curves: that a figure shows.
    """
    wanted: set[float] = set()
    for curve in curves:
        wanted.update(point.images for point in curve.points)
        if isinstance(curve.law, LearningCurve):
            wanted.update(times * curve.points[-1].images for times in TIMES)
    kept: list[float] = []
    for images in sorted(wanted):
        if not kept or images >= NEAREST_TICKS * kept[-1]:
            kept.append(images)
    return kept


def _mark_extrapolated(axes: Axes, most: float) -> None:
    """Shade the part of the figure beyond the images there are, and say what it is."""
    start, end = most * 1.2, axes.get_xlim()[1]
    axes.axvspan(start, end, color=style.LIGHT_GREY, alpha=0.35, zorder=0, linewidth=0)
    axes.set_xlim(right=end)
    axes.text(
        start * 1.02, 0.02, "extrapolated", transform=axes.get_xaxis_transform(), color=style.GREY, size=LABEL_SIZE
    )
