"""Accuracy by epoch, and by the number of training images."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from headstart.comparison.charts.drawing import Box, Drawing, Point
from headstart.comparison.charts.plot import (
    Scale,
    accuracy_scale,
    amount_scale,
    draw_given_x_axis,
    draw_y_axis,
)
from headstart.comparison.charts.series import Series
from headstart.comparison.learning_curve_figure import TIMES, image_ticks
from headstart.comparison.learning_curves import StrategyCurve
from headstart.comparison.strategies import Strategy
from headstart.evaluation.learning_curve import LearningCurve

HEIGHT = 340.0  # pixels
MARKED = 30  # epochs up to which each is a point
POINTS = 24  # along a curve
NUMBER = 28.0  # pixels between the numbers of epochs


def epochs_chart(strategies: Sequence[Strategy], series: Series, width: float) -> Drawing | None:
    """Draw the validation accuracy by epoch, the first strategy of each colour: the mean over its runs, and the range.

    Args:
        strategies: in the order of the table.
        series: of each strategy.
        width: pixels.
    """
    histories = {position: [run.validation_by_epoch for run in strategies[position].runs] for position in series.first}
    every = [value for runs in histories.values() for history in runs for value in history.values()]
    last = max((epoch for runs in histories.values() for history in runs for epoch in history), default=0)
    if last < 2:  # one epoch is no curve
        return None
    area = Box(40, 34, width - 12, HEIGHT - 44)
    x, y = Scale(0.8, last + 0.2, area.left, area.right), accuracy_scale(every, area.bottom, area.top)
    drawing = Drawing(width, HEIGHT, "Validation accuracy by epoch")
    draw_given_x_axis(drawing, x, area, "epoch, over all stages", _epoch_ticks(x, last))
    draw_y_axis(drawing, y, area, "validation accuracy, %")
    for position, runs in reversed(histories.items()):
        # Runs that stopped early do not count in later epochs.
        epochs = sorted(set().union(*runs))
        values = {epoch: [history[epoch] for history in runs if epoch in history] for epoch in epochs}
        own = series.strategies[position]
        kind = f"s{own}"
        if len(runs) > 1 and len(epochs) > 1:
            above = [Point(x(epoch), y(max(values[epoch]))) for epoch in epochs]
            below = [Point(x(epoch), y(min(values[epoch]))) for epoch in reversed(epochs)]
            drawing.area([*above, *below], f"band {kind}")
        means = [Point(x(epoch), y(fmean(values[epoch]))) for epoch in epochs]
        if len(means) > 1:
            drawing.line(means, f"curve {kind}")
        for epoch, point in zip(epochs, means, strict=True):
            if last <= MARKED or len(means) == 1:
                tip = f"#{position + 1} {strategies[position].label}\nepoch {epoch}: {100 * fmean(values[epoch]):.1f} %"
                drawing.marker(point, own, tip, position + 1, "mark small")
    return drawing


def _epoch_ticks(x: Scale, last: int) -> list[int]:
    """Return the epochs to label: all of a few, else round ones with the first and the last."""
    if (x.end - x.start) / last > NUMBER:
        return list(range(1, last + 1))
    ticks = {round(value) for value in x.ticks(int((x.end - x.start) / 80)) if value >= 1}
    kept = {value for value in ticks if min(x(value) - x(1), x(last) - x(value)) > NUMBER}
    return sorted(kept | {1, last})


def learning_curve_chart(curves: Sequence[StrategyCurve], series: Sequence[int], width: float) -> Drawing:
    """Draw accuracy by the number of training images, continued to four times as many where that can be said.

    Args:
        curves: in the order of the table, at least one.
        series: of each curve; those without a colour are left out.
        width: pixels.
    """
    shown = [(curve, number) for curve, number in zip(curves, series, strict=True) if number > 0]
    area = Box(40, 34, width - 12, HEIGHT - 44)
    drawing = Drawing(width, HEIGHT, "Accuracy by number of training images")
    split = shown[0][0].split if len({curve.split for curve, _ in shown}) == 1 else "test or validation"
    amounts, accuracies = [], []
    for curve, _ in shown:
        amounts += [point.images for point in curve.points]
        accuracies += [bound for point in curve.points for bound in (point.accuracy.low, point.accuracy.high)]
        for images, estimate in _expected(curve):
            amounts.append(images)
            accuracies += [estimate[1], estimate[2]]
    x = amount_scale(amounts, area.left, area.right, logarithmic=True)
    y = accuracy_scale(accuracies, area.bottom, area.top)
    _mark_extrapolated(drawing, x, area, [curve for curve, _ in shown])
    draw_given_x_axis(drawing, x, area, "training images (logarithmic)", image_ticks([curve for curve, _ in shown]))
    draw_y_axis(drawing, y, area, f"{split} accuracy, %")
    for order, (curve, number) in reversed(list(enumerate(shown))):
        _draw_curve(drawing, (x, y), curve, number, 5.0 * (order - (len(shown) - 1) / 2))
    return drawing


def _expected(curve: StrategyCurve) -> list[tuple[float, tuple[float, float, float]]]:
    """Return what is expected of more images: their number, and the accuracy with its interval."""
    if not isinstance(curve.law, LearningCurve):
        return []
    most = curve.points[-1].images
    return [(times * most, curve.law.at(times * most)) for times in TIMES]


def _draw_curve(drawing: Drawing, scales: tuple[Scale, Scale], curve: StrategyCurve, series: int, aside: float) -> None:
    """Draw one curve: filled points and a solid line as far as measured, then open points and a dashed line.

    Args:
        drawing: to draw on.
        scales: of images and accuracies.
        curve: to draw.
        series: of its colour and shape.
        aside: pixels to the right, so that the intervals of two curves do not hide each other.
    """
    x, y = scales
    measured = [(point.images, point.accuracy) for point in curve.points]
    if isinstance(curve.law, LearningCurve):
        first, most = measured[0][0], measured[-1][0]
        for start, end, kind in ((first, most, "curve"), (most, most * TIMES[-1], "curve dashed")):
            line = [(images, curve.law.at(images).expected) for images in np.geomspace(start, end, POINTS)]
            drawing.line([Point(x(images) + aside, y(value)) for images, value in line], f"{kind} s{series}")
    else:
        line = [(images, accuracy.mean) for images, accuracy in measured]
        drawing.line([Point(x(images) + aside, y(value)) for images, value in line], f"curve dotted s{series}")
    estimates = [(images, values, "expected", "mark open") for images, values in _expected(curve)]
    found = [(images, (one.mean, one.low, one.high), "measured", "mark") for images, one in measured]
    for images, (value, low, high), word, kind in [*found, *estimates]:
        at = x(images) + aside
        drawing.line([Point(at, y(low)), Point(at, y(high))], f"whisker s{series}")
        tip = f"{curve.label}\n{images:,.0f} training images: {100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        drawing.marker(Point(at, y(value)), series, f"{tip.strip()} {word}", None, kind)


def _mark_extrapolated(drawing: Drawing, x: Scale, area: Box, curves: Sequence[StrategyCurve]) -> None:
    """Shade the part beyond the images there are, and say what it is."""
    if any(isinstance(curve.law, LearningCurve) for curve in curves):
        start = x(1.2 * max(curve.points[-1].images for curve in curves))
        drawing.box(Box(start, area.top, area.right, area.bottom), "beyond")
        drawing.text(Point((start + area.right) / 2, area.top - 14), "extrapolated", "middle", "dim")
