"""How well linear probes tell the classes at every depth of a pretrained network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def depth_figure(
    depths: list[float], accuracies: list[float], chance: float, best: int, images: int, title: str
) -> Figure:
    """Draw the accuracy of the probes over the depth, with the best and the last of them.

    Args:
        depths: of each cut, share of the layers with weights that come no later, ascending, 0 to 1.
        accuracies: of the probe at each cut, of images that were left out.
        chance: accuracy of always saying the largest class.
        best: position of the best probe.
        images: how many were measured.
        title: wrapped where it is too long.
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
            label=f"{name}: {accuracies[position]:.1%} at {depths[position]:.0%}",
        )
    axes.axhline(chance, color=style.GREY, linestyle=":", label=f"largest class alone: {chance:.1%}")
    axes.set_xlim(-2, 103)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("depth: share of the backbone's layers with weights up to the cut (%)")
    axes.set_ylabel("accuracy of images that were left out")
    axes.grid(color=style.LIGHT_GREY)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure
