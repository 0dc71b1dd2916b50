"""Charts with a row for each name: every seed of each strategy, and what each strategy recognizes of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.comparison.charts.drawing import LINE_HEIGHT, Box, Drawing, Point, wrapped
from headstart.comparison.charts.plot import Scale, accuracy_scale, draw_x_axis
from headstart.comparison.collect import Run
from headstart.comparison.confusion import Confusion
from headstart.comparison.strategies import Strategy, fold_of, seed_of
from headstart.comparison.table import Row

MAX_ROWS = 20
LEAST_HEIGHT = 24.0  # pixels of a row
NARROW = 450.0  # pixels; below, names stand above their rows
AXIS = 44.0  # pixels below the rows
RIGHT = 14.0  # pixels beside the rows
DODGE = 3.0  # pixels between the markers of two strategies in one row


@dataclass(frozen=True)
class Layout:
    """Where the rows of a chart are.

    Args:
        names: of each row, in lines.
        middles: of each row, in pixels from the top.
        beside: where the names that stand beside their rows end; None if they stand above them.
        area: inside of the axes.
    """

    names: tuple[tuple[str, ...], ...]
    middles: tuple[float, ...]
    beside: float | None
    area: Box

    @property
    def height(self) -> float:
        """Of the whole chart, in pixels."""
        return self.area.bottom + AXIS

    def draw_names(self, drawing: Drawing) -> None:
        """Write the names, and a line along each row."""
        for lines, middle in zip(self.names, self.middles, strict=True):
            if self.beside is None:
                drawing.text(Point(2, middle - LEAST_HEIGHT / 2 - len(lines) * LINE_HEIGHT / 2), lines)
            else:
                drawing.text(Point(self.beside, middle), lines, "end")
            drawing.line([Point(self.area.left, middle), Point(self.area.right, middle)], "grid")


def lay_out(names: Sequence[str], width: float, share: float) -> Layout:
    """Return the layout of a chart.

    Args:
        names: of the rows.
        width: of the chart in pixels.
        share: of the width for names beside the rows.
    """
    beside = None if width < NARROW else share * width
    lines = [tuple(wrapped(name, (width if beside is None else beside) - 8)) for name in names]
    top, middles = 8.0, []
    for one in lines:
        above = len(one) * LINE_HEIGHT + 2 if beside is None else 0.0
        height = LEAST_HEIGHT if beside is None else max(LEAST_HEIGHT, len(one) * LINE_HEIGHT + 8)
        middles.append(top + above + height / 2)
        top += above + height
    area = Box(12.0 if beside is None else beside + 14, 4.0, width - RIGHT, top + 2)
    return Layout(tuple(lines), tuple(middles), beside, area)


def seeds_chart(
    strategies: Sequence[Strategy], rows: Sequence[Row], series: Sequence[int], width: float
) -> Drawing | None:
    """Draw the accuracy of every run as a point, with the interval of each strategy; None if no run has one.

    Args:
        strategies: in the order of the table; the first MAX_ROWS are drawn.
        rows: of the same strategies.
        series: of each strategy.
        width: pixels.
    """
    split = accuracy_split(rows)
    accuracies = [[(run, _accuracy(run, split)) for run in one.runs] for one in strategies[:MAX_ROWS]]
    known = [[(run, value) for run, value in one if value is not None] for one in accuracies]
    intervals = [row.test if split == "test" else None for row in rows[:MAX_ROWS]]
    values = [value for one in known for _, value in one]
    if not values:
        return None
    bounds = [bound for one in intervals if one for bound in (one.low, one.high)]
    layout = lay_out([f"#{number} {one.label}" for number, one in enumerate(strategies[:MAX_ROWS], 1)], width, 0.38)
    drawing = Drawing(width, layout.height, f"{split} accuracy of every run by strategy")
    scale = accuracy_scale([*values, *bounds], layout.area.left, layout.area.right)
    draw_x_axis(drawing, scale, layout.area, f"{split} accuracy, %")
    layout.draw_names(drawing)
    for position, (middle, runs, interval) in enumerate(zip(layout.middles, known, intervals, strict=True)):
        if interval:
            bar = Box(scale(interval.low), middle - 4, scale(interval.high), middle + 4)
            tip = f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f} % ({interval.method})"
            drawing.box(bar, f"interval s{series[position]}", tip)
            mean = scale(interval.mean)
            drawing.line([Point(mean, middle - 8), Point(mean, middle + 8)], f"mean s{series[position]}")
        for run, value in runs:
            tip = f"#{position + 1} {strategies[position].label}\n{_described(run)}: {100 * value:.2f} %"
            drawing.marker(Point(scale(value), middle), series[position], tip, position + 1)
    return drawing


def classes_chart(found: Confusion, names: Sequence[str], series: Sequence[int], width: float) -> Drawing:
    """Draw the recall of each class by every strategy, the classes in which they differ most first.

    Args:
        found: the confusion of the strategies.
        names: of all strategies, in the order of the table.
        series: of all strategies.
        width: pixels.
    """
    chosen = found.most_different(MAX_ROWS)
    recalls = found.recalls / 100
    layout = lay_out([found.classes[position] for position in chosen], width, 0.28)
    drawing = Drawing(width, layout.height, "Recall of each class by strategy")
    scale = accuracy_scale(recalls[:, chosen].ravel().tolist(), layout.area.left, layout.area.right)
    draw_x_axis(drawing, scale, layout.area, "recall, % of the class's test images")
    layout.draw_names(drawing)
    for middle, position in zip(layout.middles, chosen, strict=True):
        _draw_range(drawing, scale, recalls[:, position].tolist(), middle)
        # The best strategy last, so that nothing covers it.
        for order in reversed(range(len(found.positions))):
            strategy = found.positions[order]
            aside = DODGE * (order - (len(found.positions) - 1) / 2)
            value = recalls[order, position]
            tip = f"{found.classes[position]}: {100 * value:.1f} % right\n#{strategy + 1} {names[strategy]}"
            drawing.marker(Point(scale(value), middle + aside), series[strategy], tip, strategy + 1)
    return drawing


def accuracy_split(rows: Sequence[Row]) -> str:
    """Return whose accuracies are shown: those of the test images if there are any, else the validation images'."""
    return "test" if any(row.test for row in rows) else "validation"


def _draw_range(drawing: Drawing, scale: Scale, values: Sequence[float], middle: float) -> None:
    """Draw a line from the lowest to the highest value."""
    if max(values) > min(values):
        drawing.line([Point(scale(min(values)), middle), Point(scale(max(values)), middle)], "range")


def _accuracy(run: Run, split: str) -> float | None:
    if split == "test":
        return float(run.test.correct.mean()) if run.test is not None else None
    return run.results.validation.accuracy if run.results.validation else None


def _described(run: Run) -> str:
    """Return the seed, and the fold if there is one."""
    folded = run.config is not None and run.config.cv.fold is not None
    return f"seed {seed_of(run)}{f', fold {fold_of(run)}' if folded else ''}"
