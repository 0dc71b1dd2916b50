"""The confusion matrix of one strategy."""

from __future__ import annotations

import math

import numpy as np

from headstart.comparison.charts.drawing import LINE_HEIGHT, Box, Drawing, Point, text_width, wrapped
from headstart.comparison.confusion import Confusion

DARK = 0.55  # opacity from which on text on a cell is light
NAMES = 0.3  # of the width, for the names of the classes
WITH_NUMBERS = 18.0  # pixels of a cell that holds a number


def matrix_chart(found: Confusion, order: int, title: str, width: float) -> Drawing:
    """Draw the confusion matrix of one strategy in percent of the true class.

    Args:
        found: the confusion of the strategies.
        order: which of them, from 0.
        title: what it shows, for people who hear the page.
        width: pixels.
    """
    names, values = found.classes, found.percentages[order]
    left = min(NAMES * width, max(map(text_width, names)) + 30) + 8
    cell = (width - left - 4) / len(names)
    short = max(map(text_width, names)) < cell - 2
    rows = [wrapped(name if short else f"{number}  {name}", left - 8) for number, name in enumerate(names, 1)]
    heights = [max(min(cell, 44.0), LINE_HEIGHT * len(lines) + 2) for lines in rows]
    top = 24.0
    drawing = Drawing(width, top + sum(heights) + 40, title)
    drawing.text(Point(2, 12), "true class", "start", "dim")
    for row, (lines, height) in enumerate(zip(rows, heights, strict=True)):
        middle = top + height / 2
        drawing.text(Point(left - 6, middle), lines, "end")
        for column in range(len(names)):
            value = float(values[row, column])
            box = Box(left + column * cell, top, left + (column + 1) * cell, top + height)
            what = f"{names[row]} right" if row == column else f"{names[row]} taken for {names[column]}"
            _draw_cell(drawing, box, value, what)
        top += height
    for column, name in enumerate(names):
        drawing.text(Point(left + (column + 0.5) * cell, top + 12), name if short else str(column + 1), "middle", "dim")
    drawing.text(Point(left + (width - left) / 2, top + 31), "predicted class", "middle", "dim")
    return drawing


def _draw_cell(drawing: Drawing, box: Box, value: float, what: str) -> None:
    """Draw one cell: darker for a larger percentage, and its number where there is room."""
    known = not np.isnan(value)
    opacity = math.sqrt(value / 100) if known else 0.0  # of confusions of few percent, something is seen
    drawing.box(box, "cell", f"{what}: {value:.1f} %" if known else f"{what}: no test images", min(opacity, 0.99))
    if value > 0 and box.right - box.left >= WITH_NUMBERS:
        text = "<1" if value < 0.5 else f"{value:.0f}"
        middle = Point((box.left + box.right) / 2, (box.top + box.bottom) / 2)
        drawing.text(middle, text, "middle", "number onto" if opacity > DARK else "number")
