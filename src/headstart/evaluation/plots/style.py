"""The common style of all figures: sizes, colours, and text that fits its space."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from headstart.core.errors import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0  # inches; 900 pixels, about what MLflow shows of a figure without scaling it down
DOTS_PER_INCH = 100
RUN_DOTS_PER_INCH = 200  # of the figures of a run, which are read and printed one at a time
POINTS_PER_INCH = 72
MARGIN = 0.15  # inches around everything
SMALL_IMAGE = 64  # pixels; smaller images are shown as squares instead of a blur
TITLE_SIZE = 13.0  # points
SOURCE_SIZE = 8.5  # points
LINE_HEIGHT = 1.3  # of the font size

# Colours that colour-blind people can distinguish: M. Okabe and K. Ito, Color Universal Design (2008).
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PALETTE = (BLUE, VERMILION, GREEN, "#E69F00", "#CC79A7", "#56B4E9", "#000000")
GREY = "#666666"
LIGHT_GREY = "#E5E5E5"


def new_figure(width: float, height: float, constrained: bool = True) -> Figure:
    """Return an empty figure that is not registered with pyplot.

    Args:
        width: inches.
        height: inches.
        constrained: let Matplotlib choose margins that fit all labels; false if the axes are placed by hand.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=MARGIN / 2, w_pad=MARGIN / 2) if constrained else None
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def add_title(figure: Figure, title: str, source: str = "") -> None:
    """Write the title at the top, wrapped to the figure's width, and below it where the figure comes from.

    Args:
        figure: new, of its final size.
        title: what it shows.
        source: the run and its data, in grey on one line; nothing if it is empty.
    """
    lines = _title_lines(title, figure.get_figwidth())
    height, layout = figure.get_figheight(), figure.get_layout_engine()
    # A constrained layout makes room for the title only if it may position it, half a margin from the edge.
    place = {} if layout else {"y": 1 - MARGIN / height}
    figure.suptitle("\n".join(lines), size=TITLE_SIZE, va="top", parse_math=False, **place)
    if not source:
        return
    top = _title_height(lines) - (MARGIN / 2 if layout else 0)
    text = shorten(source, SOURCE_SIZE, figure.get_figwidth() - 2 * MARGIN)
    written = figure.text(
        0.5, 1 - top / height, text, size=SOURCE_SIZE, color=GREY, ha="center", va="top", parse_math=False
    )
    if layout:
        written.set_in_layout(False)
        layout.set(rect=(0, 0, 1, 1 - _source_height() / height))  # type: ignore[call-arg]


def title_height(title: str, figure_width: float, source: str = "") -> float:
    """Return the height of a figure's title and source including the margin above them, in inches."""
    return _title_height(_title_lines(title, figure_width)) + (_source_height() if source else 0)


def text_width(text: str, size: float) -> float:
    """Return the width of one line of text in inches.

    Args:
        text: a single line.
        size: of the font, in points.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(printable(text), FontProperties(size=size), ismath=False)
    # Drawing rounds each letter to whole pixels, which makes small text some percent wider.
    return 1.05 * width / POINTS_PER_INCH


def shorten(text: str, size: float, width: float) -> str:
    """Return the text, with an ellipsis in the middle if it is too wide.

    The middle is dropped because class names often start alike and differ at the end.

    Args:
        text: a single line.
        size: of the font, in points.
        width: available, in inches.
    """
    short = text = printable(text)
    kept = _first_guess(text, size, width)
    while kept > 2 and text_width(short, size) > width:
        kept -= 1
        short = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return short


def name_lines(name: str, size: float, width: float, most: int) -> list[str]:
    """Return a name on a few lines, broken behind spaces, hyphens and underscores; what does not fit is shortened.

    Args:
        name: of a class.
        size: of the font, in points.
        width: of a line, in inches.
        most: number of lines that there is room for, at least 1.
    """
    lines = [""]
    for part in re.findall(r"[^\s_-]*[\s_-]+|[^\s_-]+", printable(name)):
        if lines[-1] and text_width((lines[-1] + part).rstrip(), size) > width:
            lines.append("")
        lines[-1] += part
    lines = [line.rstrip() for line in lines]
    if len(lines) > most or any(text_width(line, size) > width for line in lines):
        return [shorten(name, size, width)]
    return lines


def wrap(text: str, size: float, width: float) -> list[str]:
    """Return the text wrapped to lines of a maximum width.

    Args:
        text: words; a word that is too long for a line is broken.
        size: of the font, in points.
        width: available, in inches.
    """
    text = printable(text)
    lines = [text]
    characters = _first_guess(text, size, width)
    while characters > 1 and any(text_width(line, size) > width for line in lines):
        characters -= 1
        lines = textwrap.wrap(text, characters)
    return lines


def _first_guess(text: str, size: float, width: float) -> int:
    """Return an upper estimate of the characters that fit the width, because measuring each length is slow."""
    return min(len(text), int(1.3 * len(text) * width / max(text_width(text, size), width)) + 1)


def _title_lines(title: str, figure_width: float) -> list[str]:
    return wrap(title, TITLE_SIZE, figure_width - 2 * MARGIN)


def _title_height(lines: list[str]) -> float:
    return MARGIN + len(lines) * TITLE_SIZE * LINE_HEIGHT / POINTS_PER_INCH


def _source_height() -> float:
    return SOURCE_SIZE * LINE_HEIGHT / POINTS_PER_INCH
