"""A contact sheet of a split: what the images of each class look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_IMAGES = 100
MOST_ROWS = 12  # with more classes there are several classes in a row
MOST_OF_A_CLASS, MOST_OF_MANY = 8, 4
LONGEST_ROW = 10  # images
LABEL_WIDTH = 1.6  # inches of a class name at most, where it stands beside its images
TEXT_SIZE = 9.0  # points
GAP = 0.06  # inches between images


@dataclass(frozen=True, eq=False)
class Sample:
    """Some images of a class."""

    class_name: str
    count: int  # images of the class in the split
    images: Sequence[np.ndarray]  # uint8 (side, side, 3) each, of the same side; none where the class has none


def choose_samples(labels: np.ndarray, classes: int, seed: int = 0) -> list[np.ndarray]:
    """Return the positions of the images to show of each class that is shown, chosen at random.

    With many classes there are fewer images of each, and with more than MOST_IMAGES only the first classes are shown.

    Args:
        labels: int (n,), from 0.
        classes: number of classes, at least 1.
        seed: of the choice.
    """
    each = int(np.clip(MOST_IMAGES // classes, 1, MOST_OF_A_CLASS if classes <= MOST_ROWS else MOST_OF_MANY))
    generator = np.random.default_rng(seed)
    shown = range(min(classes, MOST_IMAGES))
    return [np.sort(generator.permutation(np.flatnonzero(labels == label))[:each]) for label in shown]


def samples_figure(samples: Sequence[Sample], title: str, source: str = "") -> Figure:
    """Draw some images of each class, a row for each class, or of many classes several in a row.

    Args:
        samples: of each class, at least one; all images have the same side.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    layout = _Layout.of(samples, style.title_height(title, style.WIDTH, source) + style.MARGIN)
    figure = style.new_figure(style.WIDTH, layout.height, constrained=False)
    style.add_title(figure, title, source)
    # All images in one: an axes for each takes longer to draw than the images themselves.
    side, step, row_step = (
        round(inches * style.RUN_DOTS_PER_INCH)
        for inches in (layout.cell, layout.cell + GAP, layout.cell + layout.below + GAP)
    )
    canvas = np.full((layout.rows * row_step, layout.columns * step, 3), 255, np.uint8)
    for number, sample in enumerate(samples):
        row, column = divmod(number * layout.each, layout.columns)
        for place, image in enumerate(sample.images, start=column):
            canvas[row * row_step :, place * step :][:side, :side] = _resized(image, side)
        _write_name(figure, sample, layout, row, column)
    left, bottom = layout.start / style.WIDTH, style.MARGIN / layout.height
    axes = figure.add_axes((left, bottom, layout.width / style.WIDTH, 1 - layout.top / layout.height - bottom))
    axes.imshow(canvas, aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    return figure


@dataclass(frozen=True)
class _Layout:
    """Rows and columns of square cells, in inches."""

    each: int  # images of a class
    rows: int
    columns: int  # images in a row
    cell: float
    start: float  # of the images, from the left
    below: float  # for the name below a class's images; 0 if it stands beside them
    top: float  # above the images

    @classmethod
    def of(cls, samples: Sequence[Sample], top: float) -> _Layout:
        """Return the layout of some samples below a title."""
        each = max(1, *(len(sample.images) for sample in samples))
        beside = len(samples) <= MOST_ROWS
        columns = each if beside else each * (LONGEST_ROW // each)
        left = LABEL_WIDTH + GAP if beside else 0.0
        cell = min(1.2, (style.WIDTH - 2 * style.MARGIN - left) / columns - GAP)
        start = (style.WIDTH - left - columns * (cell + GAP)) / 2 + left
        below = 0.0 if beside else TEXT_SIZE * style.LINE_HEIGHT / style.POINTS_PER_INCH
        return cls(each, math.ceil(len(samples) * each / columns), columns, cell, start, below, top)

    @property
    def width(self) -> float:
        return self.columns * (self.cell + GAP)

    @property
    def height(self) -> float:
        """Height of the whole figure."""
        return self.top + self.rows * (self.cell + self.below + GAP) + style.MARGIN


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    small = image.shape[0] < style.SMALL_IMAGE  # shown as squares instead of a blur
    resample = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize((side, side), resample))


def _write_name(figure: Figure, sample: Sample, layout: _Layout, row: int, column: int) -> None:
    """Write the name of a class and the number of its images left of its images, or below them."""
    upper = layout.height - layout.top - row * (layout.cell + layout.below + GAP)
    if layout.below:
        number = f" ({sample.count:,})" if layout.each > 1 else ""  # there is room for little more than a name
        room = layout.each * (layout.cell + GAP) - GAP - style.text_width(number, TEXT_SIZE)
        name = style.shorten(sample.class_name, TEXT_SIZE, room) + number
        x, y = layout.start + column * (layout.cell + GAP), upper - layout.cell - 0.8 * layout.below
        figure.text(x / style.WIDTH, y / layout.height, name, size=TEXT_SIZE, parse_math=False)
        return
    line = TEXT_SIZE * style.LINE_HEIGHT / style.POINTS_PER_INCH
    lines = style.name_lines(sample.class_name, TEXT_SIZE, LABEL_WIDTH, max(1, int(layout.cell / line) - 1))
    middle = upper - layout.cell / 2 - (len(lines) - 1) / 2 * line  # between the name and the number below it
    x, y, gap = (layout.start - GAP - 0.04) / style.WIDTH, middle / layout.height, 0.03 / layout.height
    name = "\n".join(lines)
    images = "1 image" if sample.count == 1 else f"{sample.count:,} images"
    figure.text(x, y + gap, name, size=TEXT_SIZE, ha="right", va="bottom", parse_math=False)
    figure.text(x, y - gap, images, size=TEXT_SIZE - 1, color=style.GREY, ha="right", va="top")
