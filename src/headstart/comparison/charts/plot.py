"""Scales, axes, and labels that keep clear of each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.comparison.charts.drawing import LINE_HEIGHT, Box, Drawing, Point, text_width

GAP = 9.0  # pixels between a point and its label
MARGIN = 0.06  # of the range of the values, beyond the first and the last one
LEAST_RANGE = 0.02  # of accuracies: two points in percent
LOGARITHMIC = 5.0  # factor between the largest and smallest value from which on a scale is logarithmic


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels.

    Args:
        low: value at `start`.
        high: value at `end`.
        start: pixels.
        end: pixels.
        logarithmic: whether equal factors are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies, in pixels."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the scale.

        Args:
            most: how many at most.
        """
        from matplotlib.ticker import LogLocator, MaxNLocator

        if self.logarithmic:
            found: list[float] = []
            for steps in ((1, 2, 5), (1, 3), (1,)):
                values = LogLocator(subs=steps, numticks=50).tick_values(self.low, self.high)
                found = [float(value) for value in values if self.low <= value <= self.high]
                if len(found) <= most:
                    break
            return found
        values = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        slack = (self.high - self.low) * 1e-9
        return [float(value) for value in values if self.low - slack <= value <= self.high + slack]


def accuracy_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale for accuracies, with some room around them.

    Args:
        values: 0 to 1, at least one.
        start: pixels.
        end: pixels.
    """
    low, high = min(values), max(values)
    room = max(MARGIN * (high - low), (LEAST_RANGE - (high - low)) / 2, 0.002)
    # A little room beyond 0 and 100 % too, so that a point there is seen whole.
    return Scale(max(low - room, -0.01), min(high + room, 1.01), start, end)


def amount_scale(values: Sequence[float], start: float, end: float, logarithmic: bool | None = None) -> Scale:
    """Return a scale for amounts such as seconds, logarithmic where they differ by a factor of several.

    Args:
        values: above 0, at least one.
        start: pixels.
        end: pixels.
        logarithmic: whether it must be, or must not; None: by the values.
    """
    low, high = min(values), max(values)
    if logarithmic is None:
        logarithmic = low > 0 and high > LOGARITHMIC * low
    if logarithmic:
        room = max((high / low) ** MARGIN, 1.05)
        return Scale(low / room, high * room, start, end, logarithmic=True)
    room = MARGIN * (high - low) or 0.1 * high or 1.0
    return Scale(max(low - room, 0.0), high + room, start, end)


def percent_tick(value: float) -> str:
    """Return an accuracy as the text of a tick, in percent."""
    return f"{100 * value:.6g}"


def amount_tick(value: float) -> str:
    """Return an amount as the text of a tick."""
    rounded = round(value, 6)
    return f"{value:,.0f}" if value >= 1000 or rounded == int(rounded) else f"{rounded:g}"


def draw_x_axis(
    drawing: Drawing, scale: Scale, area: Box, title: str, text: Callable[[float], str] = percent_tick
) -> None:
    """Draw the lines, numbers and title of an axis below an area.

    Args:
        drawing: to draw on.
        scale: of the axis.
        area: inside of the axes.
        title: of the axis.
        text: of a tick.
    """
    _draw_x_ticks(drawing, scale, area, scale.ticks(max(3, int((area.right - area.left) / 60))), text)
    drawing.text(Point((area.left + area.right) / 2, area.bottom + 32), title, "middle", "dim")


def _draw_x_ticks(
    drawing: Drawing, scale: Scale, area: Box, ticks: Sequence[float], text: Callable[[float], str]
) -> None:
    """Draw a line at each tick, and its number unless it would touch the one before."""
    end = -math.inf
    for value in ticks:
        x = scale(value)
        drawing.line([Point(x, area.top), Point(x, area.bottom)], "grid")
        half = text_width(text(value)) / 2
        if x - half > end + 6 and x + half < drawing.width:
            drawing.text(Point(x, area.bottom + 13), text(value), "middle", "dim")
            end = x + half


def draw_y_axis(
    drawing: Drawing, scale: Scale, area: Box, title: str, text: Callable[[float], str] = percent_tick
) -> None:
    """Draw the lines and numbers of an axis at the left of an area, and its title above it.

    Args:
        drawing: to draw on.
        scale: of the axis.
        area: inside of the axes.
        title: of the axis, which starts at the left edge.
        text: of a tick.
    """
    for value in scale.ticks(max(3, int((area.bottom - area.top) / 40))):
        y = scale(value)
        drawing.line([Point(area.left, y), Point(area.right, y)], "grid")
        drawing.text(Point(area.left - 6, y), text(value), "end", "dim")
    drawing.text(Point(2, area.top - 14), title, "start", "dim")


def draw_given_x_axis(drawing: Drawing, scale: Scale, area: Box, title: str, ticks: Sequence[float]) -> None:
    """Draw an axis of amounts with ticks at given values, see `draw_x_axis`."""
    _draw_x_ticks(drawing, scale, area, ticks, amount_tick)
    drawing.text(Point((area.left + area.right) / 2, area.bottom + 32), title, "middle", "dim")


def draw_labels(
    drawing: Drawing, labels: Sequence[tuple[Point, Sequence[str]]], taken: Sequence[Box], area: Box
) -> int:
    """Write each label beside its point, clear of other labels and points, and return how many had no room.

    Args:
        drawing: to draw on.
        labels: the point and the lines of each, the most important first.
        taken: boxes to keep clear of.
        area: to stay within.
    """
    used, left_out = list(taken), 0
    for point, lines in labels:
        width, height = max(map(text_width, lines)), LINE_HEIGHT * len(lines)
        for box, anchor in _places(point, width, height):
            if area.contains(box) and not any(box.overlaps(other) for other in used):
                x = box.left if anchor == "start" else box.right if anchor == "end" else (box.left + box.right) / 2
                drawing.text(Point(x, (box.top + box.bottom) / 2), lines, anchor, "label")
                used.append(box)
                break
        else:
            left_out += 1
    return left_out


def _places(point: Point, width: float, height: float) -> list[tuple[Box, str]]:
    """Return where a label may stand, the best place first, each with its anchor."""
    across_above = Box(point.x - GAP, point.y - GAP - height, point.x - GAP + width, point.y - GAP)
    across_below = Box(point.x - GAP, point.y + GAP, point.x - GAP + width, point.y + GAP + height)
    places = []
    for far in (1.0, 2.5):
        gap = GAP * far
        for across, down, anchor in (
            (1, 0, "start"),
            (-1, 0, "end"),
            (1, -1, "start"),
            (-1, -1, "end"),
            (1, 1, "start"),
            (-1, 1, "end"),
            (0, -1, "middle"),
            (0, 1, "middle"),
        ):
            middle_x = point.x + across * (gap + width / 2)
            aside = gap if across == 0 else gap / 2
            middle_y = point.y + down * (aside + height / 2)
            box = Box(middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
            places.append((box, anchor))
    return [*places, (across_above, "start"), (across_below, "start")]
