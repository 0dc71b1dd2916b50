"""The figure of what strategies cost and reach: accuracy against seconds, a panel for each data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headstart.comparison.figures import pareto_front
from headstart.evaluation.plots import style
from measured_runs import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
PANEL_HEIGHT = 2.5  # inches
AROUND = 1.3  # inches, for title and legend
TICKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # seconds
MARKERS = "osD^vP*Xph<"  # so that the figure works without colours
LARGEST, SMALLEST = 13, 7  # points; markers that lie on each other stay visible, the later ones smaller
LEAST_RANGE = 0.05  # of accuracy in a panel, so that a few images do not look like a lead


def frontier_figure(found: Mapping[str, Mapping[str, Measured]], strategies: Mapping[str, str]) -> Figure:
    """Draw accuracy against the seconds of the whole command, with the frontier; bars are standard deviations.

    Args:
        found: the strategies of each data set, by its name.
        strategies: the names for people of those to draw, which are drawn alike everywhere.
    """
    rows = -(-len(found) // COLUMNS)
    figure = style.new_figure(style.WIDTH, AROUND + PANEL_HEIGHT * rows)
    style.add_title(figure, "Accuracy against seconds of the whole command, with an empty cache")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).ravel()
    looks = {name: (style.PALETTE[i % len(style.PALETTE)], MARKERS[i]) for i, name in enumerate(strategies)}
    for axes, (name, measured) in zip(panels, found.items(), strict=False):
        _draw(axes, {strategy: one for strategy, one in measured.items() if strategy in looks}, looks)
        axes.set_title(name, size=10, parse_math=False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    for position in range(0, len(found), COLUMNS):
        panels[position].set_ylabel("accuracy")
    for axes in panels[max(0, len(found) - COLUMNS) : len(found)]:
        axes.set_xlabel("seconds")
        axes.tick_params(labelbottom=True)
    figure.legend(
        handles=_handles(looks, strategies), loc="outside lower center", ncols=min(len(looks) + 1, 5), frameon=False
    )
    return figure


def _draw(axes: Axes, measured: Mapping[str, Measured], looks: Mapping[str, tuple[str, str]]) -> None:
    """Draw the strategies of one data set."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    points = [(one.command_seconds, one.accuracy) for one in measured.values()]
    front = [points[position] for position in pareto_front(points)]
    axes.set_xscale("log")
    axes.plot(*zip(*front, strict=True), drawstyle="steps-post", color=style.GREY, linewidth=1, zorder=1)
    for size, (name, one) in zip(range(LARGEST, 0, -2), measured.items(), strict=False):
        colour, marker = looks[name]
        axes.errorbar(
            one.command_seconds,
            one.accuracy,
            yerr=one.deviation,
            color=colour,
            marker=marker,
            markersize=max(size, SMALLEST),
            markeredgecolor="white",
            capsize=3,
        )
    axes.margins(0.1, 0.2)
    low, high = axes.get_ylim()
    missing = max(0.0, LEAST_RANGE - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)


def _handles(looks: Mapping[str, tuple[str, str]], strategies: Mapping[str, str]) -> list[object]:
    """Return what the legend shows: the marker of each strategy, and the frontier."""
    from matplotlib.lines import Line2D

    markers: list[object] = [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            markersize=8,
            markeredgecolor="white",
            linestyle="none",
            label=strategies[name],
        )
        for name, (colour, marker) in looks.items()
    ]
    return [*markers, Line2D([], [], color=style.GREY, linewidth=1, label="nothing is faster and better")]
