"""Figures of a comparison: accuracy, accuracy against time, validation curves, the four scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.comparison.scenarios import SCENARIOS, best_by_validation, rows_by_scenario
from headstart.comparison.significance import BEST, BETTER, TIE, WORSE
from headstart.comparison.strategies import Strategy
from headstart.comparison.table import Row
from headstart.core.console import format_percent
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_SIZE = 9.0  # points
ROW_HEIGHT = 0.3  # inches per strategy
LONGEST_LABEL = 3.6  # inches, of a strategy's name
MAX_CURVES = 10
# Okabe and Ito's colours, which repeat with dashed lines; more than ten curves would be hard to identify.
CURVE_COLOURS = (style.BLUE, style.VERMILION, style.GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Colour and marker show the same, so that the figure works without colours.
MARKERS = {BEST: (style.GREEN, "*"), TIE: (style.BLUE, "o"), WORSE: (style.VERMILION, "v"), BETTER: ("#CC79A7", "^")}
OTHER_MARKER = (style.GREY, "s")


def accuracy_figure(rows: Sequence[Row]) -> Figure:
    """Draw the test accuracy of each strategy with its 95 % interval.

    Args:
        rows: in the order of the table; at least one has a test accuracy.
    """
    from matplotlib.ticker import PercentFormatter

    figure = style.new_figure(style.WIDTH, 2.0 + ROW_HEIGHT * len(rows))
    style.add_title(figure, "Test accuracy by strategy, with 95 % intervals")
    axes = figure.subplots()
    for position, row in enumerate(rows):
        if row.test is None:
            continue
        colour, marker = MARKERS.get(row.significance.outcome, OTHER_MARKER)
        axes.plot([row.test.low, row.test.high], [position, position], color=colour, linewidth=2, alpha=0.6)
        axes.plot(
            row.test.mean,
            position,
            color=colour,
            marker=marker,
            markersize=11 if marker == "*" else 7,
            markeredgecolor="white",
            linestyle="none",
            label=f"{BEST} by validation" if row.significance.outcome == BEST else row.significance.outcome,
        )
    names = [_numbered(number, row.strategy, LONGEST_LABEL) for number, row in enumerate(rows, 1)]
    axes.set_yticks(range(len(rows)), names, size=LABEL_SIZE, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("test accuracy")
    axes.grid(axis="x", color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique, loc="outside lower center", ncols=5, frameon=False)
    return figure


def cost_figure(rows: Sequence[Row]) -> Figure | None:
    """Draw validation accuracy against the seconds of a run, with the Pareto front; None for fewer than two points.

    The figure is for choosing a strategy, so it shows validation accuracy, not test accuracy.

    Args:
        rows: in the order of the table.
    """
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    points = [
        (number, row.seconds, row.validation_accuracy)
        for number, row in enumerate(rows, 1)
        if row.seconds is not None and row.validation_accuracy is not None
    ]
    if len(points) < 2:
        return None
    front = pareto_front([(seconds, accuracy) for _, seconds, accuracy in points])
    places = [points[i] for i in front]
    known = [(n, f"{rows[n - 1].strategy} ({s:,.0f} s, {format_percent(accuracy)})") for n, s, accuracy in places]
    key = [_numbered(number, text, 8.0) for number, text in known]
    figure = style.new_figure(style.WIDTH, 5.6 + 0.19 * len(key))
    style.add_title(figure, "Validation accuracy against seconds of a whole run")
    axes = figure.subplots()
    axes.plot(
        [seconds for _, seconds, _ in points],
        [accuracy for *_, accuracy in points],
        linestyle="none",
        marker="o",
        markersize=6,
        color=style.GREY,
        alpha=0.6,
        label="strategy",
    )
    axes.plot(
        [points[i][1] for i in front],
        [points[i][2] for i in front],
        drawstyle="steps-post",
        marker="D",
        markersize=7,
        markeredgecolor="white",
        color=style.BLUE,
        label="Pareto front: no strategy is both faster and better",
    )
    lowest, highest = min(seconds for _, seconds, _ in points), max(seconds for _, seconds, _ in points)
    if highest > 5 * lowest > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else ""))
    axes.margins(0.08, 0.12)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("\n".join(["seconds (mean over the runs)", *key]), parse_math=False)
    axes.set_ylabel("validation accuracy")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    _write_numbers(figure, axes, [points[i] for i in front])
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the positions of the points that no other point beats in both values, fastest first.

    Args:
        points: seconds (lower is better) and accuracy (higher is better).
    """
    front: list[int] = []
    for position in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[position][1] > points[front[-1]][1]:
            front.append(position)
    return front


def curves_figure(strategies: Sequence[Strategy]) -> Figure:
    """Draw validation accuracy by epoch: one line per strategy for the mean over its runs, their range shaded.

    Args:
        strategies: in the order of the table; only the first MAX_CURVES are drawn.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    shown = strategies[:MAX_CURVES]
    figure = style.new_figure(style.WIDTH, 5.4 + 0.24 * len(shown))
    which = f", the best {len(shown)} of {len(strategies)} strategies" if len(shown) < len(strategies) else ""
    style.add_title(figure, f"Validation accuracy over the epochs of all stages{which} (mean and range over the runs)")
    axes = figure.subplots()
    for number, strategy in enumerate(shown):
        histories = [run.validation_by_epoch for run in strategy.runs]
        epochs = sorted(set().union(*histories))
        # Runs that stopped early do not count in later epochs.
        values = [[history[epoch] for history in histories if epoch in history] for epoch in epochs]
        colour = CURVE_COLOURS[number % len(CURVE_COLOURS)]
        axes.fill_between(epochs, [min(one) for one in values], [max(one) for one in values], color=colour, alpha=0.12)
        axes.plot(
            epochs,
            [fmean(one) for one in values],
            color=colour,
            linestyle="-" if number < len(CURVE_COLOURS) else "--",
            marker="os^Dv<>p*X"[number] if len(epochs) <= 30 else None,
            markersize=4,
            label=_numbered(number + 1, strategy.label, style.WIDTH - 1.5),
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy")
    axes.grid(axis="y", color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    legend = figure.legend(loc="outside lower center", ncols=1, frameon=False, fontsize=LABEL_SIZE)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def scenario_figure(strategies: Sequence[Strategy], rows: Sequence[Row]) -> Figure | None:
    """Draw the four scenarios with the best strategy of each by validation; None if no strategy has a scenario.

    Args:
        strategies: in the order of the table.
        rows: of the same strategies.
    """
    members = rows_by_scenario(strategies, rows)
    if not members:
        return None
    figure = style.new_figure(style.WIDTH, 5.2, constrained=False)
    style.add_title(figure, "The four scenarios, and the best strategy of each by validation")
    axes = figure.add_axes((0.13, 0.03, 0.85, 0.8))
    axes.set_xlim(0, 2)
    axes.set_ylim(2, 0)
    axes.set_xticks([0.5, 1.5], ["few images", "many images"])
    axes.xaxis.tick_top()
    axes.set_yticks([0.5, 1.5], ["similar\nto ImageNet", "different\nfrom ImageNet"])
    axes.tick_params(length=0)
    for name, (line, column) in SCENARIOS.items():
        axes.add_patch(_cell(column, line, bool(members[name])))
        axes.text(column + 0.05, line + 0.14, name, size=10, color=style.GREY)
        for number, text in enumerate(_winner(members[name])):
            axes.text(column + 0.05, line + 0.34 + 0.11 * number, text, size=10, parse_math=False)
    return figure


def _cell(column: int, line: int, filled: bool) -> Any:
    from matplotlib.patches import Rectangle

    face = "#E8F3FA" if filled else "white"
    return Rectangle((column, line), 1, 1, facecolor=face, edgecolor=style.GREY)


def _winner(rows: Sequence[Row]) -> list[str]:
    """Return the lines of text in a scenario's cell."""
    if not rows:
        return ["no run"]
    best = best_by_validation(rows)
    lines = style.wrap(best.strategy, 10.0, 3.4)[:3]
    figures = [] if best.validation_accuracy is None else [f"validation {format_percent(best.validation_accuracy)}"]
    figures += [f"test {format_percent(best.test.mean)} ({best.interval})"] if best.test else []
    return [*lines, *figures, f"of {len(rows)} strateg{'y' if len(rows) == 1 else 'ies'}"]


def _numbered(number: int, text: str, width: float) -> str:
    """Return a strategy's number in the table and its name, shortened to a width in inches."""
    return style.shorten(f"{number}  {text}", LABEL_SIZE, width)


def _write_numbers(figure: Figure, axes: Axes, points: Sequence[tuple[int, float, float]]) -> None:
    """Write the number of each point beside it, leaving out numbers that would overlap."""
    figure.draw_without_rendering()  # lays out the axes
    written: list[np.ndarray] = []
    for number, seconds, accuracy in points:
        position = np.asarray(axes.transData.transform((seconds, accuracy)))
        if any(abs(position - other)[0] < 22 and abs(position - other)[1] < 18 for other in written):
            continue
        written.append(position)
        axes.annotate(
            str(number), (seconds, accuracy), xytext=(-4, 6), textcoords="offset points", ha="right", size=LABEL_SIZE
        )
