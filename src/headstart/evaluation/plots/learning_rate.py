"""The result of the learning-rate finder: the loss against the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADROOM = 1.25  # limits the axis to this times the highest smoothed loss before the minimum; divergence is cut off


def learning_rate_figure(
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestion: float | None,
    configured: float,
    title: str,
    source: str = "",
) -> Figure:
    """Draw the loss over the learning rate on a logarithmic axis, marking the suggested and the configured rate.

    Args:
        rates: (updates,), above 0.
        losses: (updates,); values that are not finite are left out.
        smoothed: (updates,), as `losses`.
        suggestion: the suggested rate; None if there is none.
        configured: the stage's configured rate.
        title: wrapped if it is too long.
        source: the run and its data, for the line below the title.
    """
    figure = style.new_figure(style.WIDTH, 5.5)
    style.add_title(figure, title, source)
    axes = figure.subplots()
    axes.set_xscale("log")
    finite = np.isfinite(losses)
    rates, losses, smoothed = rates[finite], losses[finite], smoothed[finite]
    if len(rates):
        axes.plot(rates, losses, color=style.GREY, marker=".", linestyle="", alpha=0.6, label="loss of each update")
        axes.plot(rates, smoothed, color=style.BLUE, linewidth=2, label="smoothed")
        start = float(smoothed[: int(np.argmin(smoothed)) + 1].max())
        axes.set_ylim(float(losses.min()) - 0.05 * start, HEADROOM * start)
    else:
        axes.text(0.5, 0.5, "The loss was never finite.", transform=axes.transAxes, ha="center", size=12)
    axes.axvline(configured, color=style.VERMILION, linestyle="--", label=f"configured: {configured:.2g}")
    if suggestion is not None:
        axes.axvline(suggestion, color=style.GREEN, linestyle=":")
        axes.plot(
            suggestion,
            np.interp(np.log(suggestion), np.log(rates), smoothed),
            color=style.GREEN,
            linestyle=":",
            marker="*",
            markersize=14,
            markeredgecolor="white",
            label=f"suggested: {suggestion:.2g}",
        )
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
