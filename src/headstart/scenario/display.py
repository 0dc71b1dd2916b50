"""Displays a measured scenario: the table of the four scenarios, the evidence, and the probes' accuracies."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from headstart.config import CELLS
from headstart.core.console import console, print_titled
from headstart.evaluation.plots import depth_figure
from headstart.evaluation.writing import ignore_missing_glyphs, save_figure
from headstart.results.scenario import SplitPointProbe
from headstart.scenario.square import FEW_BELOW, Placement

BAR = 10  # characters for an accuracy of 100 %
MAX_ROWS = 20  # in the terminal; the figure has all probes


def print_placement(placement: Placement, backbone: str) -> None:
    """Print the table of the four scenarios and the reasons for the one that was found.

    Args:
        placement: the measured scenario.
        backbone: name of the network whose features were measured.
    """
    print_titled(f"Scenario, measured with the features of {backbone}", scenario_table(placement.cell))
    for sentence in placement.why:
        console.print(f"  - {sentence}", markup=False, soft_wrap=True)
    console.print(
        "  The thresholds are heuristics, see docs/scenarios.md. Trials choose the strategy, not the scenario.",
        markup=False,
        soft_wrap=True,
    )


def scenario_table(found: str) -> Table:
    """Return a table of the four scenarios, the found one in bold.

    Args:
        found: name of the cell that was found.
    """
    table = Table(show_lines=True)
    for title in ("", "similar to ImageNet", "unlike ImageNet"):
        table.add_column(title)
    sizes = {"small": f"fewer than {FEW_BELOW:,}\nimages a class", "large": f"{FEW_BELOW:,} or more\nimages a class"}
    for size, name in sizes.items():
        row = [cell for cell in CELLS if cell.startswith(size)]  # similar first
        table.add_row(name, *(f"[bold]-> {cell}[/]" if cell == found else cell for cell in row))
    return table


def print_curve(placement: Placement) -> None:
    """Print the accuracy of the probe at each split point, from the input to the top.

    Args:
        placement: the measured scenario.
    """
    table = Table()
    for column in ("depth", "split point", "channels", "accuracy"):
        table.add_column(column, justify="left" if column == "split point" else "right", overflow="fold")
    table.add_column(no_wrap=True, min_width=BAR)
    table.add_column()
    for row in _shown(placement):
        marks = [word for word, one in (("best", placement.best), ("last", placement.last)) if one == row]
        table.add_row(
            f"{row.depth:.0%}",
            escape(row.split_point),
            f"{row.channels:,}",
            f"{row.accuracy:.4f}",
            "█" * round(BAR * row.accuracy),
            ", ".join(marks),
        )
    title = f"Linear probes of {placement.measured_images:,} training images (chance {placement.chance:.2f})"
    print_titled(title, table)


@ignore_missing_glyphs()
def write_figure(placement: Placement, subject: str, file: Path) -> None:
    """Draw the accuracy of the probes over the depth.

    Args:
        placement: the measured scenario.
        subject: data set and backbone, for the title.
        file: the PNG; its directory is created.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    probes = placement.probes
    figure = depth_figure(
        [row.depth for row in probes],
        [row.accuracy for row in probes],
        placement.chance,
        probes.index(placement.best),
        placement.measured_images,
        f"{subject}: linear probes at every depth ({placement.cell})",
    )
    save_figure(figure, file)


def _shown(placement: Placement) -> list[SplitPointProbe]:
    """Return at most about MAX_ROWS evenly spaced probes, and always the best and the last one."""
    step = -(-len(placement.probes) // MAX_ROWS)
    return [
        row
        for position, row in enumerate(placement.probes)
        if position % step == 0 or row in (placement.best, placement.last)
    ]
