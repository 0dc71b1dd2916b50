"""PNG figures of mistakes: confusion matrices side by side, and images that only one of two strategies gets right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.comparison.confusion import MAX_CLASSES, Confusion, confusion_of
from headstart.comparison.disagreements import Sheet
from headstart.comparison.strategies import Strategy
from headstart.evaluation.plots import labels_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_MATRICES = 4
MAX_RECALLS = 20  # classes in the figure that replaces the matrices for more classes
LONGEST_NAME = 1.6  # inches, of a class
SERIES = ((style.BLUE, "o"), (style.VERMILION, "s"), (style.GREEN, "^"), ("#CC79A7", "D"))


def confusion_figure(strategies: Sequence[Strategy]) -> Figure | None:
    """Draw the confusion matrices of the best strategies; for many classes, the recalls that differ most instead.

    Args:
        strategies: in the order of the table; only those with the first one's test images are drawn.

    Returns:
        The figure; None if there are no test images.
    """
    found = confusion_of(strategies, MAX_MATRICES)
    if found is None:
        return None
    titles = [f"{position + 1}  {strategies[position].label}" for position in found.positions]
    return (_draw_matrices if len(found.classes) <= MAX_CLASSES else _draw_recalls)(found, titles)


def _draw_matrices(found: Confusion, titles: Sequence[str]) -> Figure:
    from matplotlib.colors import PowerNorm

    percentages, names = found.percentages, found.classes
    columns = min(2, len(percentages))
    lines = -(-len(percentages) // columns)
    figure = style.new_figure(style.WIDTH + 1.6, 0.9 + 5.0 * lines)
    style.add_title(figure, "Confusion on the test images: percent of each true class, all runs together")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    size = min(9.0, 110 / len(names) - 1)
    short = [style.shorten(name, 8.0, LONGEST_NAME) for name in names]
    upright = max(style.text_width(name, 8.0) for name in short) > 3.4 / len(names)
    for axes, values, title in zip(panels, percentages, titles, strict=False):
        seen = np.ma.masked_invalid(np.where(values == 0, np.nan, values))
        axes.imshow(seen, cmap="viridis", norm=PowerNorm(0.5, 0, 100))
        for (row, column), value in np.ndenumerate(values):
            if value > 0:
                text = "<1" if value < 0.5 else f"{value:.0f}"
                # Viridis is dark below the middle of its range, which PowerNorm moves to 25 %.
                colour = "black" if value > 30 else "white"
                axes.text(column, row, text, size=size, color=colour, ha="center", va="center")
        axes.set_title(style.shorten(title, 9.0, 4.2), size=9.0, parse_math=False)
        axes.set_xticks(range(len(names)), short, size=8, rotation=90 if upright else 0, parse_math=False)
        axes.set_yticks(range(len(names)), short, size=8, parse_math=False)
        axes.set_xlabel("predicted class", size=9)
        axes.set_ylabel("true class", size=9)
    for axes in panels[len(percentages) :]:
        axes.set_axis_off()
    return figure


def _draw_recalls(found: Confusion, titles: Sequence[str]) -> Figure:
    """Draw the recall of the classes in which the strategies differ most."""
    recalls, names = found.recalls, found.classes
    chosen = found.most_different(MAX_RECALLS)
    figure = style.new_figure(style.WIDTH, 1.8 + 0.28 * len(chosen) + 0.22 * len(titles))
    style.add_title(figure, f"Recall on the test images: the {len(chosen)} of {len(names)} classes that differ most")
    axes = figure.subplots()
    for (colour, marker), values, title in zip(SERIES, recalls, titles, strict=False):
        axes.plot(
            values[chosen],
            range(len(chosen)),
            linestyle="none",
            marker=marker,
            color=colour,
            alpha=0.8,
            label=style.shorten(title, 9.0, style.WIDTH - 1.5),
        )
    short = [style.shorten(names[position], 9.0, 2.5) for position in chosen]
    axes.set_yticks(range(len(chosen)), short, size=9, parse_math=False)
    axes.set_ylim(len(chosen) - 0.4, -0.6)
    axes.set_xlabel("recall: percent of the class's images that are classified correctly")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    legend = figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def sheet_figure(sheet: Sheet) -> Figure:
    """Draw the test images that only one of the best two strategies gets right."""
    first, second = sorted((sheet.right, sheet.wrong))
    captions = []
    for image in sheet.shown:
        pairs = [(f"{first}: {image.first[0]}", image.first[1]), (f"{second}: {image.second[0]}", image.second[1])]
        captions.append((f"true: {image.label}", pairs))
    title = f"Strategy {sheet.right} is right, strategy {sheet.wrong} is wrong: {sheet.total:,} test images"
    title += f", {len(sheet.shown)} of them" if sheet.total > len(sheet.shown) else ""
    return labels_figure(list(sheet.pixels), captions, title)
