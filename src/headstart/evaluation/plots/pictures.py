"""Figures of images with captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import format_percent
from headstart.core.errors import printable
from headstart.evaluation.plots import style
from headstart.evaluation.plots.heat import overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4  # of the sheet of mistakes
GAP = 0.15  # inches between pictures, and around the sheet
TEXT_SIZE = 9.0  # points
TEXT_HEIGHT = TEXT_SIZE * style.LINE_HEIGHT / style.POINTS_PER_INCH
NARROWEST = 4.5  # inches of a figure, so that its title has room
ROW_TITLE_WIDTH = 2.0  # inches at most
COLOUR_BAR_WIDTH, COLOUR_BAR_HEIGHT = 4.0, 0.18  # inches
BELOW_COLOUR_BAR = 3 * TEXT_HEIGHT  # for its ends and its meaning


@dataclass(frozen=True)
class _SheetLayout:
    """Rows and columns of square cells, and the space that is left free around them, in inches."""

    rows: int
    columns: int
    cell: float  # side
    left: float = 0.0
    above_sheet: float = 0.0
    above_row: float = 0.0
    below_sheet: float = 0.0


def mistakes_figure(
    images: Sequence[np.ndarray], captions: Sequence[tuple[str, str, float]], title: str, source: str = ""
) -> Figure:
    """Draw misclassified images, each with its true class, the predicted class and the confidence.

    Args:
        images: uint8 (height, width, 3) each, of any size.
        captions: for each image the true class, the predicted class and the probability of the latter, 0 to 1.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    if not images:
        return _no_mistakes(title, source)

    return _captioned(
        images,
        [
            (f"true: {true}", f"predicted: {predicted}", f"confidence: {format_percent(confidence)}")
            for true, predicted, confidence in captions
        ],
        title,
        source,
    )


def labels_figure(
    images: Sequence[np.ndarray],
    captions: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    title: str,
    source: str = "",
) -> Figure:
    """Draw images, each with its name and its likeliest labels.

    Args:
        images: uint8 (height, width, 3) each, of any size; at least one.
        captions: for each image its name, and the same number of labels with their probabilities, 0 to 1.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    lines = [(name, *(f"{format_percent(share)} {label}" for label, share in labels)) for name, labels in captions]
    return _captioned(images, lines, title, source)


def _captioned(images: Sequence[np.ndarray], captions: Sequence[Sequence[str]], title: str, source: str) -> Figure:
    """Draw images in rows, each below its lines of text, which are shortened if they are too long."""
    columns = min(COLUMNS, len(images))
    cell = (style.WIDTH - GAP) / COLUMNS - GAP
    above_row = len(captions[0]) * TEXT_HEIGHT
    layout = _SheetLayout(math.ceil(len(images) / columns), columns, cell, above_row=above_row)
    figure, corners = _sheet(title, source, layout)
    places = [corner for row in corners for corner in row]
    # The last row may be incomplete.
    for (x, y), image, lines in zip(places, images, captions, strict=False):
        _show(figure, image, x, y, cell)
        for line, text in enumerate(reversed(lines)):
            _write(figure, style.shorten(text, TEXT_SIZE, cell), x, y + cell + line * TEXT_HEIGHT)
    return figure


def explained_figure(
    images: Sequence[np.ndarray],
    heat_maps: Sequence[np.ndarray],
    captions: Sequence[tuple[str, str, float, float]],
    title: str,
    source: str = "",
) -> Figure:
    """Draw misclassified images, a row each: the image, and the regions that support the predicted and the true class.

    Args:
        images: uint8 (height, width, 3) each, of any size.
        heat_maps: for each image two maps (2, rows, columns) of 0 to 1, for the predicted and for the true class.
        captions: for each image the true class, the predicted class, and the probabilities, 0 to 1, of the predicted
            and of the true class.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    if not images:
        return _no_mistakes(title, source)
    rows, row_titles = [], []
    for image, maps, (true, predicted, confidence, of_true) in zip(images, heat_maps, captions, strict=True):
        rows.append([image, *(overlay(image, heat) for heat in maps)])
        lines = [
            f"predicted, at {format_percent(confidence)}:",
            printable(predicted),
            f"true, at {format_percent(of_true)}:",
            printable(true),
        ]
        empty = ["" if heat.any() else "(no supporting region)" for heat in maps]
        row_titles.append("\n".join([*lines[:2], empty[0], *lines[2:], empty[1]]))
    columns = ("image", "supports the predicted class", "supports the true class")
    below = COLOUR_BAR_HEIGHT + BELOW_COLOUR_BAR
    figure = grid_figure(rows, row_titles, columns, title, below_sheet=below, source=source)
    _add_colour_bar(figure, "how much a region supports the class; each map is scaled to its own maximum")
    return figure


def grid_figure(
    rows: Sequence[Sequence[np.ndarray]],
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    title: str,
    below_sheet: float = 0.0,
    source: str = "",
) -> Figure:
    """Draw images in a grid with row and column titles.

    Args:
        rows: uint8 (height, width, 3) images of any size, from left to right; a row may be shorter than the others.
        row_titles: one for each row, of one or more lines, written to its left; long lines are shortened.
        column_titles: one for each column, written above it, shortened if it is too long.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
        below_sheet: inches to leave free at the lower edge.
    """
    lines_of_rows = [text.split("\n") for text in row_titles]
    longest = max(style.text_width(line, TEXT_SIZE) for lines in lines_of_rows for line in lines)
    left = min(ROW_TITLE_WIDTH, longest) + GAP
    cell = min(2.0, max(0.8, (style.WIDTH - left - GAP) / len(column_titles) - GAP))
    layout = _SheetLayout(len(rows), len(column_titles), cell, left, above_sheet=TEXT_HEIGHT, below_sheet=below_sheet)
    figure, corners = _sheet(title, source, layout)
    for (x, y), text in zip(corners[0], column_titles, strict=True):
        _write(figure, style.shorten(text, TEXT_SIZE, cell), x + cell / 2, y + cell, align="center")
    for places, images, lines in zip(corners, rows, lines_of_rows, strict=True):
        x, y = places[0]
        lowest = y + (cell - len(lines) * TEXT_HEIGHT) / 2
        for number, line in enumerate(reversed(lines)):
            short = style.shorten(line, TEXT_SIZE, ROW_TITLE_WIDTH)
            _write(figure, short, x - GAP / 2, lowest + number * TEXT_HEIGHT, align="right")
        for (x, y), image in zip(places, images, strict=False):
            _show(figure, image, x, y, cell)
    return figure


def _no_mistakes(title: str, source: str) -> Figure:
    figure = style.new_figure(style.WIDTH, 2.5, constrained=False)
    style.add_title(figure, title, source)
    figure.text(0.5, 0.4, "No mistakes: every image was classified correctly.", size=12, ha="center", va="center")
    return figure


def _add_colour_bar(figure: Figure, meaning: str) -> None:
    """Draw the colour bar of the heat maps, on grey, at the lower edge."""
    width, height = figure.get_size_inches()
    left, bottom = (width - COLOUR_BAR_WIDTH) / 2 / width, BELOW_COLOUR_BAR / height
    axes = figure.add_axes((left, bottom, COLOUR_BAR_WIDTH / width, COLOUR_BAR_HEIGHT / height))
    grey = np.full((1, 256, 3), 128, np.uint8)
    axes.imshow(overlay(grey, np.linspace(0, 1, 256)[None]), aspect="auto", extent=(0, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, 1], ["not at all, or against", "most"], size=TEXT_SIZE)
    axes.set_xlabel(meaning, size=TEXT_SIZE)


def _sheet(title: str, source: str, layout: _SheetLayout) -> tuple[Figure, list[list[tuple[float, float]]]]:
    """Return a titled figure, and the lower left corner of each cell, in inches."""
    rows, columns, cell = layout.rows, layout.columns, layout.cell
    content = layout.left + columns * (cell + GAP) + GAP
    width = max(NARROWEST, content)
    row_height = layout.above_row + cell + GAP
    height = (
        style.title_height(title, width, source) + GAP + layout.above_sheet + rows * row_height + layout.below_sheet
    )
    figure = style.new_figure(width, height, constrained=False)
    style.add_title(figure, title, source)
    start = (width - content) / 2 + layout.left + GAP
    lowest = layout.below_sheet + GAP
    corners = [
        [(start + column * (cell + GAP), lowest + (rows - 1 - row) * row_height) for column in range(columns)]
        for row in range(rows)
    ]
    return figure, corners


def _show(figure: Figure, image: np.ndarray, x: float, y: float, cell: float) -> None:
    """Show the image as large as its square cell allows, at the upper edge, next to its caption."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x / width, y / height, cell / width, cell / height), anchor="N")
    axes.imshow(image, interpolation="nearest" if max(image.shape) < style.SMALL_IMAGE else "antialiased")
    axes.set_axis_off()


def _write(figure: Figure, text: str, x: float, y: float, align: str = "left") -> None:
    width, height = figure.get_size_inches()
    # Raising the baseline by a quarter of a line leaves room for descenders.
    figure.text(x / width, (y + TEXT_HEIGHT / 4) / height, text, size=TEXT_SIZE, ha=align, parse_math=False)
