"""What `headstart train --help` prints: every group, every option, one line each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from headstart.core.console import console
from headstart.core.paths import conf_directory


def comments(file: Path) -> list[str]:
    """Return the comment lines that a YAML file begins with: what the option is for, then a command to try."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return [line.removeprefix("#").strip() for line in lines if not line.startswith("# @")]  # @ is for Hydra


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print names with what they are for, wrapped beside the name."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=18)
    table.add_column(overflow="fold")
    for name, meaning in rows:
        table.add_row(f"  {name}", meaning)
    console.print(table)


def print_help() -> None:
    """Print how to call `headstart train`, the groups with their options, and the single values."""
    conf = conf_directory()
    console.print("[bold]headstart train \\[GROUP=OPTION ...] \\[KEY=VALUE ...][/]   one run")
    console.print("[bold]headstart train -m GROUP=OPTION,OPTION ...[/]            every combination\n")
    config_lines = (conf / "config.yaml").read_text().splitlines()
    listed = [line[4:].partition("  #")[0] for line in config_lines if line.startswith("  - ") and ": " in line]
    defaults = dict(line.split(": ") for line in listed)
    for group in sorted({option.parent for option in conf.glob("*/*.yaml")}):
        console.print(f"[bold]{group.name}[/]  (default: {defaults.get(group.name, 'null')})")
        print_rows((option.stem, escape(" ".join(comments(option)[:1]))) for option in sorted(group.glob("*.yaml")))
    console.print("\n[bold]values[/]")
    values = [line.partition(": ") for line in config_lines if not line.startswith((" ", "#", "-")) and ": " in line]
    print_rows((f"{key}={rest.partition('  # ')[0]}", escape(rest.partition("  # ")[2])) for key, _, rest in values)
    console.print("\nEvery key of an option can be set: optimizer.learning_rate=3e-4, freeze.stages.0.epochs=2.")
    console.print(
        "The whole configuration without running it: headstart train --cfg job. Hydra's own flags: --hydra-help."
    )
