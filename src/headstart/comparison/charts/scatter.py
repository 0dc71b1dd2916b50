"""Accuracy against the seconds of a run, with the frontier: what no other strategy beats in both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from headstart.comparison.charts.drawing import Box, Drawing, Point, wrapped
from headstart.comparison.charts.plot import (
    accuracy_scale,
    amount_scale,
    amount_tick,
    draw_labels,
    draw_x_axis,
    draw_y_axis,
)
from headstart.comparison.figures import pareto_front
from headstart.comparison.table import Row, percent

POINT = 6.0  # pixels, half of what a point takes


def cost_chart(rows: Sequence[Row], series: Sequence[int], width: float, names: bool) -> Drawing | None:
    """Draw validation accuracy against seconds, with the frontier; None for fewer than two points.

    It is there to choose from, so it shows validation accuracy, not test accuracy.

    Args:
        rows: in the order of the table.
        series: of each row.
        width: pixels.
        names: whether points of the frontier are labelled with names, or with numbers alone.
    """
    known = _known(rows)
    if len(known) < 2:
        return None
    height = 380 if names else 320
    area = Box(40, 34, width - 12, height - 44)
    x = amount_scale([seconds for _, seconds, _ in known], area.left, area.right)
    y = accuracy_scale([accuracy for *_, accuracy in known], area.bottom, area.top)
    drawing = Drawing(width, height, "Validation accuracy against seconds, with the frontier")
    draw_x_axis(drawing, x, area, f"seconds of a run{' (logarithmic)' if x.logarithmic else ''}", amount_tick)
    draw_y_axis(drawing, y, area, "validation accuracy, %")
    places = {number: Point(x(seconds), y(accuracy)) for number, seconds, accuracy in known}
    front = frontier(rows)
    steps = _steps([places[number] for number in front], area)
    drawing.line(steps, "frontier")
    # The best ones last, so that nothing covers them.
    for number in sorted(places, key=lambda number: (number in front, series[number] > 0, -number)):
        row = rows[number]
        tip = f"#{number + 1} {row.strategy}\n{row.time} s, validation {percent(row.validation_accuracy)} %"
        tip += f", test {row.accuracy} % ({row.interval})" if row.test else ""
        drawing.marker(places[number], series[number], tip, number + 1, "mark front" if number in front else "mark")
    labels = []
    for number in sorted(front):
        text = f"#{number + 1} {rows[number].strategy}" if names else f"#{number + 1}"
        labels.append((places[number], wrapped(text, 190.0)))
    taken = [Box(at.x - POINT, at.y - POINT, at.x + POINT, at.y + POINT) for at in places.values()]
    taken += [
        Box(min(one.x, other.x) - 1, min(one.y, other.y) - 1, max(one.x, other.x) + 1, max(one.y, other.y) + 1)
        for one, other in itertools.pairwise(steps)
    ]
    draw_labels(drawing, labels, taken, Box(area.left, 0, width, area.bottom))
    return drawing


def frontier(rows: Sequence[Row]) -> list[int]:
    """Return the positions of the strategies that no other one beats in both validation accuracy and seconds.

    Args:
        rows: in the order of the table.
    """
    known = _known(rows)
    return [known[position][0] for position in pareto_front([(seconds, accuracy) for _, seconds, accuracy in known])]


def _known(rows: Sequence[Row]) -> list[tuple[int, float, float]]:
    """Return position, seconds and validation accuracy of the rows that have them."""
    return [
        (position, row.seconds, row.validation_accuracy)
        for position, row in enumerate(rows)
        if row.seconds is not None and row.validation_accuracy is not None
    ]


def _steps(points: Sequence[Point], area: Box) -> list[Point]:
    """Return the frontier as a line: what is reached with so many seconds, up to the right edge."""
    line = [points[0]]
    for before, after in itertools.pairwise(points):
        line += [Point(after.x, before.y), after]
    return [*line, Point(area.right, points[-1].y)]
