"""What a benchmark leaves: a table with the machine and the commands, on the terminal, as JSON and as Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from rich.table import Table

from headstart.core.console import console, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.markdown_page import row

NOT_REPORTED = "not reported"  # a figure that the measured version of headstart does not give

Measured = TypeVar("Measured")


@dataclass
class Report:
    """The table of one benchmark.

    Args:
        name: of the benchmark.
        columns: how to write the figures of each column, by its title, as in `str.format`: `{:.1f} s`.
        rows: a cell for each column, by its title; text stands as it is.
        notes: sentences that the figures need.
        commands: what was run and measured, relative to the project.
        measured: every single measurement behind the medians.
        command: that made all this.
        hardware: that it ran on.
    """

    name: str
    columns: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    measured: dict[str, list[float]] = field(default_factory=dict)
    command: str = ""
    hardware: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> list[list[str]]:
        """Return the rows as text."""
        return [
            [
                values[title] if isinstance(values[title], str) else how.format(values[title])
                for title, how in self.columns.items()
            ]
            for values in self.rows
        ]

    def print(self) -> None:
        """Show the table on the terminal."""
        table = Table()
        for position, title in enumerate(self.columns):
            table.add_column(title, justify="right" if position else "left")
        for cells in self.cells():
            table.add_row(*cells)
        print_titled(f"bench {self.name}: {describe(self.hardware)}", table)
        for line in (*self.notes, *self.commands):
            console.print(f"  {line}", markup=False, soft_wrap=True)

    def markdown(self) -> str:
        """Return the block of the documentation."""
        lines = [
            f"<!-- bench: {self.name} -->",
            row(*self.columns),
            f"| --- |{' ---: |' * (len(self.columns) - 1)}",
            *(row(*cells) for cells in self.cells()),
            "",
            f"On {describe(self.hardware)}.{''.join(f' {note}.' for note in self.notes)}",
            "",
            "```",
            self.command,
            *(f"# runs {command}" for command in self.commands),
            "```",
            f"<!-- /bench: {self.name} -->",
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return everything, to be read by `read_report`."""
        return asdict(self)


def read_report(file: Path) -> Report:
    """Return what `--json FILE` wrote.

    Raises:
        HeadstartError: when the file is missing or something else.
    """
    try:
        return Report(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise HeadstartError(
            f"Expected what `python scripts/bench/bench.py ... --json FILE` wrote. Received: {file} ({error})"
        ) from error


def measure_in_turn(sides: dict[str, Callable[[], Measured]], repetitions: int) -> dict[str, list[Measured]]:
    """Measure all sides in turn, repeatedly, so that other load on the machine affects all of them alike.

    Args:
        sides: what to measure, by name.
        repetitions: how often.
    """
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for repetition in range(repetitions):
        for name, measure in sides.items():
            with console.status(f"{name}, repetition {repetition + 1} of {repetitions}"):
                found[name].append(measure())
    return found


def comparison_row(what: dict[str, Any], slow: str, fast: str, figures: dict[str, list[float]]) -> dict[str, Any]:
    """Return a row with the medians of two sides and how many times the first one's is the second one's.

    Args:
        what: the cells that say what was measured.
        slow: title of the side that should be slower.
        fast: title of the other one.
        figures: the measurements of each side, positive.
    """
    first, second = median(figures[slow]), median(figures[fast])
    return {**what, slow: first, fast: second, "ratio": first / second}


def hardware() -> dict[str, Any]:
    """Return what the measurements depend on besides the code."""
    return {
        "cores": os.cpu_count(),
        "processor": processor_name(),
        "python": platform.python_version(),
        "tensorflow": version("tensorflow"),
    }


def describe(machine: dict[str, Any]) -> str:
    """Return the hardware in a few words."""
    return (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, "
        f"TensorFlow {machine['tensorflow']}"
    )


def processor_name() -> str:
    """Return the model name of the processor; Linux has it in a file, other systems through Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
