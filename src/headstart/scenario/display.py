"""Displays a measured scenario: its evidence in the terminal, and the probes' accuracies in a figure."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from headstart.core.console import console
from headstart.evaluation import writing
from headstart.evaluation.plots import depth_figure
from headstart.scenario.square import Placement


def print_placement(placement: Placement, backbone: str) -> None:
    """Print the scenario that was found, and the reasons.

    Args:
        placement: the measured scenario.
        backbone: name of the network whose features were measured.
    """
    console.print(
        f"\n[bold]Scenario: {placement.cell}[/], by the features of {escape(backbone)} "
        f"(chance {100 * placement.chance:.0f} %; heuristic, trials choose the strategy)",
    )
    for sentence in placement.why:
        console.print(f"  {sentence}", markup=False)


@writing.ignore_missing_glyphs()
def write_figure(placement: Placement, subject: str, file: Path) -> None:
    """Draw the accuracy of the probes over the depth.

    Args:
        placement: the measured scenario.
        subject: data set and backbone, for the title.
        file: the PNG; its directory is created.
    """
    probes = placement.probes
    figure = depth_figure(
        [row.depth for row in probes],
        [row.accuracy for row in probes],
        placement.chance,
        probes.index(placement.best),
        placement.measured_images,
        f"{subject}: linear probes at every depth ({placement.cell})",
    )
    writing.write_figure(figure, file)
