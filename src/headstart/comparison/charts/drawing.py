"""Shapes and text as SVG within an HTML page, whose style sheet colours them by their classes.

Matplotlib's SVG has fixed colours and no tooltips; its text measures and tick locators are used where they fit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from headstart.core.errors import printable
from headstart.evaluation.plots import style

FONT_SIZE = 12.0  # pixels, as in the style sheet
LINE_HEIGHT = 15.0  # pixels
BASELINE = 0.35 * FONT_SIZE  # from the middle of a line down to its baseline
NAMED = 6  # strategies with a colour and a shape of their own; all others are grey circles
# Of one strategy each, from 1 on; 0 is for all others. Around the origin, about 10 pixels wide.
SHAPES = (
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0z",
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "M-4.6,-4.6h9.2v9.2h-9.2z",
    "M0,-5.8L5.6,4.4H-5.6z",
    "M0,-6.4L6.4,0L0,6.4L-6.4,0z",
    "M0,5.8L5.6,-4.4H-5.6z",
    "M-2,-5.6h4v3.6h3.6v4h-3.6v3.6h-4v-3.6h-3.6v-4h3.6z",
)


class Point(NamedTuple):
    """A place in a drawing, in pixels from its top left corner."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in a drawing, in pixels from its top left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Return whether two rectangles share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def contains(self, other: Box) -> bool:
        """Return whether another rectangle lies within this one."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


class Drawing:
    """An SVG picture.

    Args:
        width: pixels at which its text has the page's size; a page may show it smaller.
        height: pixels.
        title: what it shows, for people who hear the page.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        size = {"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}", "height": f"{height:g}"}
        self.width, self.height = width, height
        self.root = Element("svg", {**size, "role": "img", "aria-label": printable(title)})

    def line(self, points: Sequence[Point], kind: str) -> None:
        """Draw straight lines through points.

        Args:
            points: at least two.
            kind: classes of the style sheet.
        """
        self._shape("polyline", kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def area(self, points: Sequence[Point], kind: str) -> None:
        """Fill a polygon.

        Args:
            points: its corners.
            kind: classes of the style sheet.
        """
        self._shape("polygon", kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def box(self, box: Box, kind: str, tip: str = "", opacity: float = 1.0) -> None:
        """Draw a rectangle.

        Args:
            box: where.
            kind: classes of the style sheet.
            tip: text of its tooltip.
            opacity: of its colour, 0 to 1.
        """
        size = {"width": f"{box.right - box.left:.1f}", "height": f"{box.bottom - box.top:.1f}"}
        seen = {"fill-opacity": f"{opacity:.2f}"} if opacity < 1 else {}
        _add_tip(self._shape("rect", kind, x=f"{box.left:.1f}", y=f"{box.top:.1f}", **size, **seen), tip)

    def marker(self, at: Point, series: int, tip: str, strategy: int | None = None, kind: str = "mark") -> None:
        """Draw a point in the shape and colour of its series.

        Args:
            at: its middle.
            series: 1 to NAMED; 0 for the grey circle of all others.
            tip: text of its tooltip.
            strategy: number in the table of what it stands for.
            kind: classes of the style sheet.
        """
        place = {"d": SHAPES[series], "transform": f"translate({at.x:.1f},{at.y:.1f})"}
        element = self._shape("path", f"{kind} s{series}", **place)
        if strategy is not None:
            element.set("data-strategy", str(strategy))
        _add_tip(element, tip)

    def text(self, at: Point, lines: str | Sequence[str], anchor: str = "start", kind: str = "") -> None:
        """Write text, one line below the other, their middle at a height.

        Args:
            at: the middle of the lines' height, at the side that `anchor` names.
            lines: of text.
            anchor: start, middle or end.
            kind: classes of the style sheet.
        """
        lines = [lines] if isinstance(lines, str) else list(lines)
        top = at.y - (len(lines) - 1) * LINE_HEIGHT / 2 + BASELINE
        for number, line in enumerate(lines):
            place = {"x": f"{at.x:.1f}", "y": f"{top + number * LINE_HEIGHT:.1f}", "text-anchor": anchor}
            self._shape("text", kind, **place).text = printable(line)

    def html(self) -> Markup:
        """Return the picture as part of an HTML page."""
        return Markup(tostring(self.root, encoding="unicode", short_empty_elements=False))

    def _shape(self, name: str, kind: str, **attributes: str) -> Element:
        return SubElement(self.root, name, {"class": kind, **attributes} if kind else attributes)


def swatch(series: int) -> Markup:
    """Return the marker of a series as a picture of its own, for tables and legends."""
    drawing = Drawing(14, 14, "")
    drawing.root.set("aria-hidden", "true")
    drawing.root.set("class", "swatch")
    drawing.marker(Point(7, 7), series, "")
    return drawing.html()


def text_width(text: str) -> float:
    """Return the width of one line in pixels, for a font as wide as any that a browser may have.

    Args:
        text: a single line.
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)  # which Matplotlib's font lacks
    narrow = "".join(letter for letter in text if unicodedata.east_asian_width(letter) not in "WF")
    return (style.text_width(narrow, FONT_SIZE) * style.POINTS_PER_INCH if narrow else 0.0) + wide * FONT_SIZE


def wrapped(text: str, width: float) -> list[str]:
    """Return a name in lines that fit a width: whole words where they fit, and never less than all of it.

    Args:
        text: a name.
        width: pixels.
    """
    lines = [""]
    for word in printable(text).split():
        joined = f"{lines[-1]} {word}".strip()
        if text_width(joined) <= width:
            lines[-1] = joined
            continue
        pieces = _pieces(word, width)
        lines = [*(line for line in lines if line), *pieces]
    return lines


def _pieces(word: str, width: float) -> list[str]:
    """Return a word in pieces that fit a width, broken after a mark between its parts where there is one."""
    pieces = []
    while text_width(word) > width and len(word) > 1:
        fits = next((length for length in range(len(word) - 1, 1, -1) if text_width(word[:length]) <= width), 1)
        marks = [position + 1 for position, letter in enumerate(word[:fits]) if letter in "=._-/,:"]
        end = marks[-1] if marks and marks[-1] > fits / 3 else fits
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]


def _add_tip(element: Element, tip: str) -> None:
    if tip:
        SubElement(element, "title").text = "\n".join(map(printable, tip.split("\n")))
