"""The accuracy of linear probes at every depth of a pretrained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.core.console import format_percent
from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def depth_figure(
    depths: list[float], accuracies: list[float], chance: float, best: int, images: int, title: str
) -> Figure:
    """Draw the accuracy of the probes over the depth, marking the best and the last one.

    Args:
        depths: of each split point: share of the weighted layers up to it, ascending, 0 to 1.
        accuracies: of the probe at each split point, on held-out images.
        chance: accuracy of always predicting the largest class.
        best: position of the best probe.
        images: number of measured images.
        title: wrapped if it is too long.
    """
    figure = style.new_figure(style.WIDTH, 5.0)
    style.add_title(figure, title)
    axes = figure.subplots()
    percent = [100 * depth for depth in depths]
    axes.plot(percent, accuracies, color=style.BLUE, marker="o", markersize=4, label=f"linear probe, {images:,} images")
    marks = [(best, style.GREEN, "*", 16, "best"), (len(depths) - 1, style.VERMILION, "s", 8, "last")]
    for position, color, marker, size, name in marks:
        axes.plot(
            percent[position],
            accuracies[position],
            color=color,
            linestyle="",
            marker=marker,
            markersize=size,
            markeredgecolor="white",
            label=f"{name}: {format_percent(accuracies[position])} at {format_percent(depths[position], 0)}",
        )
    axes.axhline(chance, color=style.GREY, linestyle=":", label=f"largest class alone: {format_percent(chance)}")
    axes.set_xlim(-2, 103)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("depth: share of the backbone's weighted layers up to the split point (%)")
    axes.set_ylabel("accuracy on held-out images")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
