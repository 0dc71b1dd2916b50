"""ROC and precision-recall curves: what a class costs in false alarms, at every threshold on its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.plots import style
from headstart.evaluation.ranking import Ranking, rank
from headstart.evaluation.threshold import HALF

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 20  # beyond this, the curves are hard to distinguish
PANEL_HEIGHT = 4.4  # inches
LEGEND_SIZE = 9.0  # points
LEGEND_COLUMNS = 2
MOST_POINTS = 1000  # of a curve, which no screen resolves
EXTENTS = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the axes: curves of good classifiers hug a corner


@dataclass(frozen=True)
class _Curve:
    """The curves of one class."""

    name: str
    ranking: Ranking

    @property
    def false_positive_rate(self) -> np.ndarray:
        return np.concatenate([[0], self.ranking.false_positives / self.ranking.negatives])

    @property
    def recall(self) -> np.ndarray:
        return np.concatenate([[0], self.ranking.true_positives / self.ranking.positives])

    @property
    def precision(self) -> np.ndarray:
        return np.concatenate([[1], self.ranking.precision])

    def at(self, threshold: float) -> int:
        """Return the position of the point whose images have a probability above a threshold."""
        return int((self.ranking.thresholds > threshold).sum())


def curves_figure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    title: str,
    source: str = "",
    advised: float | None = None,
) -> Figure:
    """Draw the ROC and the precision-recall curve of the second of two classes, or of each class against the rest.

    The axes show the corner in which the curves differ. Classes without images, or with all of them, have no curve.

    Args:
        labels: int (images,), positions in `class_names`.
        probabilities: float (images, classes).
        class_names: 2 to MAX_CLASSES names.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
        advised: the threshold for two classes that is marked beside 0.5, on the probability of the second one.
    """
    chosen = [1] if len(class_names) == 2 else range(len(class_names))
    rankings = [(class_names[i], rank(labels == i, probabilities[:, i])) for i in chosen]
    curves = [_Curve(name, ranking) for name, ranking in rankings if ranking.positives and ranking.negatives]
    marks = _marks(advised)
    rows = -(-(len(curves) + len(marks)) // LEGEND_COLUMNS)
    height = PANEL_HEIGHT + (rows + 1) * LEGEND_SIZE * 1.5 / style.POINTS_PER_INCH
    figure = style.new_figure(style.WIDTH, height + style.title_height(title, style.WIDTH, source))
    style.add_title(figure, title, source)
    roc, precision_recall = figure.subplots(1, 2)
    for number, curve in enumerate(curves):
        _draw(roc, curve.false_positive_rate, curve.recall, number, _label(curve))
        _draw(precision_recall, curve.recall, curve.precision, number, drawstyle="steps-post")
        for name, (threshold, marker, color) in marks.items():
            point = curve.at(threshold)
            look = {"color": color, "marker": marker, "markersize": 12 if marker == "*" else 7, "linestyle": ""}
            roc.plot(curve.false_positive_rate[point], curve.recall[point], label=name, mec="white", zorder=5, **look)
            precision_recall.plot(curve.recall[point], curve.precision[point], mec="white", zorder=5, **look)
    _finish(roc, precision_recall, curves)
    if curves:
        figure.legend(
            *roc.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=LEGEND_COLUMNS,
            frameon=False,
            fontsize=LEGEND_SIZE,
            title="area under the ROC curve, average precision",
            title_fontsize=LEGEND_SIZE,
        )
    return figure


def _marks(advised: float | None) -> dict[str, tuple[float, str, str]]:
    """Return the threshold, marker and colour of each marked point, by its label."""
    if advised is None:
        return {}
    if advised == HALF:
        return {"threshold 0.5 (advised: no other is clearly better on validation)": (HALF, "*", style.GREEN)}
    return {
        "threshold 0.5 (the likelier class)": (HALF, "o", style.VERMILION),
        f"threshold {advised:.3g} (advised on validation)": (advised, "*", style.GREEN),
    }


def _label(curve: _Curve) -> str:
    numbers = f": {curve.ranking.roc_auc:.3f}, {curve.ranking.average_precision:.3f}"
    width = (style.WIDTH - 2.0) / LEGEND_COLUMNS - style.text_width(numbers, LEGEND_SIZE)
    return style.shorten(curve.name, LEGEND_SIZE, width).replace("$", r"\$") + numbers


def _draw(
    axes: Axes, x: np.ndarray, y: np.ndarray, number: int, label: str | None = None, drawstyle: str = "default"
) -> None:
    """Draw the curve of a class, with a colour and a line style that no other class has."""
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(int)) if len(x) > MOST_POINTS else slice(None)
    color = style.PALETTE[number % len(style.PALETTE)]
    line = ("-", "--", ":")[number // len(style.PALETTE)]
    axes.plot(x[kept], y[kept], color=color, linestyle=line, linewidth=1.6, label=label, drawstyle=drawstyle)


def _finish(roc: Axes, precision_recall: Axes, curves: Sequence[_Curve]) -> None:
    """Label the axes, and limit them to the corner that the curves differ in."""
    from matplotlib.ticker import PercentFormatter

    roc.set_xlabel("false positive rate")
    roc.set_ylabel("recall (true positive rate)")
    precision_recall.set_xlabel("recall")
    precision_recall.set_ylabel("precision")
    roc.set_title("ROC", size=11)
    precision_recall.set_title("precision and recall", size=11)
    width = _extent([np.maximum(curve.false_positive_rate, 1 - curve.recall) for curve in curves])
    roc.set_xlim(-0.02 * width, width)
    roc.set_ylim(1 - width, 1 + 0.02 * width)
    roc.plot([0, 1], [0, 1], color=style.GREY, linestyle=":", linewidth=1, zorder=0)
    width = _extent([np.maximum(1 - curve.precision, 1 - curve.recall) for curve in curves])
    precision_recall.set_xlim(1 - width, 1 + 0.02 * width)
    precision_recall.set_ylim(1 - width, 1 + 0.02 * width)
    for axes in (roc, precision_recall):
        axes.grid(color=style.LIGHT_GREY)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(xmax=1))
    if not curves:
        for axes in (roc, precision_recall):
            axes.text(0.5, 0.5, "All images belong to one class.", transform=axes.transAxes, ha="center", size=11)


def _extent(distances: Sequence[np.ndarray]) -> float:
    """Return the side of the corner to show, for the distances of the curves' points from the corner, 0 to 1."""
    nearest = max((float(distance.min()) for distance in distances), default=1.0)
    return next(extent for extent in EXTENTS if 3 * nearest <= extent or extent == 1.0)
