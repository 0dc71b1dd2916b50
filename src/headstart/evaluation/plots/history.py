"""Learning curves over the epochs of all stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from headstart.core.console import format_percent
from headstart.core.errors import HeadstartError
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAGE_LABEL_SIZE = 9.0
PANEL_WIDTH = style.WIDTH - 1.2  # inches, without the axis labels
MAX_EPOCHS_WITH_MARKERS = 30  # with more epochs, markers would hide the lines


def history_figure(history: Sequence[Mapping[str, Any]], title: str, best_epoch: int, source: str = "") -> Figure:
    """Draw accuracy and loss by epoch, marking the stages and the best epoch.

    Args:
        history: a mapping for each epoch, in order, with the keys epoch (from 1, over all stages), stage,
            train_accuracy, validation_accuracy, train_loss and validation_loss.
        title: wrapped if it is too long.
        best_epoch: the epoch whose weights were kept.
        source: the run and its data, for the line below the title.

    Raises:
        HeadstartError: when `best_epoch` is not in the history.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = [row["epoch"] for row in history]
    if best_epoch not in epochs:
        raise HeadstartError(f"Expected best_epoch to be one of the {len(epochs)} epochs. Received: {best_epoch}")

    figure = style.new_figure(style.WIDTH, 7.0)
    style.add_title(figure, title, source)
    accuracy, loss = figure.subplots(2, 1, sharex=True)
    _draw_curves(accuracy, history, "accuracy", best_epoch)
    _draw_curves(loss, history, "loss", best_epoch)
    accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    loss.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    key = _mark_stages(accuracy, loss, history)
    loss.set_xlabel("\n".join(["epoch", *key]), parse_math=False)
    handles, labels = accuracy.get_legend_handles_labels()
    figure.align_ylabels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_curves(axes: Axes, history: Sequence[Mapping[str, Any]], quantity: str, best_epoch: int) -> None:
    epochs = [row["epoch"] for row in history]
    marked = len(history) <= MAX_EPOCHS_WITH_MARKERS
    for part, colour, line, marker in (("train", style.BLUE, "--", "o"), ("validation", style.VERMILION, "-", "s")):
        values = [row[f"{part}_{quantity}"] for row in history]
        axes.plot(
            epochs, values, color=colour, linestyle=line, marker=marker if marked else None, markersize=4, label=part
        )
    best = next(row for row in history if row["epoch"] == best_epoch)
    axes.axvline(best_epoch, color=style.GREEN, linestyle=":")
    axes.plot(
        best_epoch,
        best[f"validation_{quantity}"],
        color=style.GREEN,
        linestyle=":",
        marker="*",
        markersize=14,
        markeredgecolor="white",
        label=f"best epoch: {best_epoch} (validation accuracy {format_percent(best['validation_accuracy'])})",
    )
    axes.set_ylabel(quantity)
    axes.grid(axis="y", color=style.LIGHT_GREY)
    axes.set_axisbelow(True)


def _mark_stages(top: Axes, bottom: Axes, history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Shade every second stage and label each one above the panel, by name, or by number if a name does not fit.

    Returns:
        Lines of text that explain the numbers; none if the stages are labelled by name.
    """
    stages = [(name, [row["epoch"] for row in rows]) for name, rows in groupby(history, key=lambda row: row["stage"])]
    inches_per_epoch = PANEL_WIDTH / len(history)
    rooms = [0.9 * len(epochs) * inches_per_epoch for _, epochs in stages]
    names = [name for name, _ in stages]
    named = all(style.text_width(name, STAGE_LABEL_SIZE) <= room for name, room in zip(names, rooms, strict=True))
    labels = names if named else [str(number) for number in range(1, len(stages) + 1)]

    for index, (_, epochs) in enumerate(stages):
        for axes in (top, bottom):
            if index % 2:
                axes.axvspan(epochs[0] - 0.5, epochs[-1] + 0.5, color=style.LIGHT_GREY, alpha=0.5, zorder=0)
            if index:
                axes.axvline(epochs[0] - 0.5, color=style.GREY, linewidth=1)
        if style.text_width(labels[index], STAGE_LABEL_SIZE) <= rooms[index]:
            top.annotate(
                labels[index],
                ((epochs[0] + epochs[-1]) / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                size=STAGE_LABEL_SIZE,
                ha="center",
                va="bottom",
                parse_math=False,
            )
    if named:
        return []
    spelled = [f"{i}: {name} ({_span(epochs)})" for i, (name, epochs) in enumerate(stages, start=1)]
    # Spaces that do not break keep each stage on one line.
    return style.wrap(
        "stages " + ", ".join(text.replace(" ", "\N{NO-BREAK SPACE}") for text in spelled), 10.0, PANEL_WIDTH
    )


def _span(epochs: list[int]) -> str:
    return f"epoch {epochs[0]}" if len(epochs) == 1 else f"epochs {epochs[0]} to {epochs[-1]}"
