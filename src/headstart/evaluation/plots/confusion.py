"""The confusion matrix: which classes the classifier confuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

MAX_CLASSES_WITH_NUMBERS = 20  # with more classes, numbers would be too small to read
SMALLEST_CELL_WITH_NUMBER = 0.32  # inches
SMALLEST_CELL = 0.13  # inches: a line of the small font, as long as the matrix does not exceed its largest side
SMALLEST_SIDE, LARGEST_SIDE = 5.0, 13.0  # inches of the matrix
LARGEST_LABEL = 2.0  # inches of a class name
AXIS_LABEL = 0.45  # inches for "true class" and "predicted class" with the ticks
COLOUR_BAR = 1.2  # inches for the colour bar with its numbers and label


def confusion_figure(
    confusion: np.ndarray, class_names: Sequence[str], normalized: bool, title: str, source: str = ""
) -> Figure:
    """Draw the confusion matrix as coloured cells, with numbers for up to 20 classes.

    Cells without images are white and colours follow the square root, so that single mistakes are visible beside many
    right predictions. If the class names would overlap, only every second, third, ... one is shown.

    Args:
        confusion: int (classes, classes), rows are true, columns predicted.
        class_names: one name for each class.
        normalized: show percent of the true class (rows sum to 100) instead of images.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    classes = len(class_names)
    numbers = classes <= MAX_CLASSES_WITH_NUMBERS
    size = 10.0 if numbers else 7.0
    line = size * style.LINE_HEIGHT / style.POINTS_PER_INCH
    smallest_cell = SMALLEST_CELL_WITH_NUMBER if numbers else SMALLEST_CELL
    smallest_side = min(max(smallest_cell * classes, SMALLEST_SIDE), LARGEST_SIDE)
    named = range(0, classes, math.ceil(classes * line / smallest_side))
    most = max(1, int(smallest_side / classes / line))
    broken = [style.name_lines(class_names[i], size, LARGEST_LABEL, most) for i in named]
    longest = max(style.text_width(part, size) for parts in broken for part in parts)
    names = ["\n".join(parts) for parts in broken]

    # The axes are placed by hand, because the size of the cells determines the size of the figure.
    left = style.MARGIN + AXIS_LABEL + longest
    side = max(style.WIDTH - left - COLOUR_BAR - style.MARGIN, smallest_side)
    upright = longest > 0.9 * side / classes
    bottom = style.MARGIN + AXIS_LABEL + (longest if upright else line * max(map(len, broken)))
    width = left + side + COLOUR_BAR + style.MARGIN
    height = bottom + side + style.MARGIN + style.title_height(title, width, source)
    figure = style.new_figure(width, height, constrained=False)
    style.add_title(figure, title, source)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    place = (left + side + 0.2) / width, (bottom + 0.1 * side) / height, 0.2 / width, 0.8 * side / height
    bar = figure.add_axes(place)

    values = 100 * confusion / np.maximum(confusion.sum(axis=1), 1)[:, None] if normalized else confusion
    image = _draw_cells(axes, bar, values, normalized)
    axes.set_xticks(named, names, size=size, rotation=90 if upright else 0, parse_math=False)
    axes.set_yticks(named, names, size=size, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if numbers:
        _write_numbers(axes, image, values, normalized, side / classes)
    return figure


def _draw_cells(axes: Axes, bar: Axes, values: np.ndarray, normalized: bool) -> AxesImage:
    """Draw the cells, and the colour bar, which counts in whole numbers."""
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    largest = 100.0 if normalized else max(float(values.max()), 1.0)
    image = axes.imshow(
        np.ma.masked_equal(values, 0),
        cmap="viridis",
        norm=PowerNorm(0.5, vmin=0, vmax=largest),
        interpolation="nearest",
    )
    empty = np.flatnonzero(values.sum(axis=1) == 0)
    for row in empty:
        axes.axhspan(row - 0.5, row + 0.5, color=style.LIGHT_GREY)
    absent = ", grey: no image of the class" if len(empty) else ""
    unit = "percent of the true class" if normalized else "images"
    axes.figure.colorbar(
        image,
        cax=bar,
        ticks=MaxNLocator(nbins=7, integer=True, min_n_ticks=1),
        format=StrMethodFormatter("{x:,.0f}"),
        label=f"{unit} (white: none{absent})",
    )
    return image


def _write_numbers(axes: Axes, image: AxesImage, values: np.ndarray, normalized: bool, cell: float) -> None:
    """Write each non-zero number into its cell, in black or white, whichever has more contrast."""
    texts = {
        (row, column): "<1" if normalized and value < 0.5 else f"{value:.0f}"
        for (row, column), value in np.ndenumerate(values)
        if value > 0
    }
    widest = max((style.text_width(text, 1.0) for text in texts.values()), default=1.0)
    size = min(12.0, 0.8 * cell / widest)
    for (row, column), text in texts.items():
        red, green, blue, _ = image.cmap(image.norm(values[row, column]))
        # Rec. 709 luma: the perceived brightness.
        bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5
        axes.text(column, row, text, size=size, color="black" if bright else "white", ha="center", va="center")
