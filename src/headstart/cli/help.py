"""`headstart train --help`: every group, option and key, one line each."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from rich.markup import escape
from rich.table import Table

from headstart.config import Config
from headstart.core.console import console
from headstart.core.paths import conf_directory
from headstart.model.backbones.entries import BACKBONES


def comments(file: Path) -> list[str]:
    """Return the comment lines at the top of a YAML file: the option's description, then a command to try."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return [line.removeprefix("#").strip() for line in lines if not line.startswith("# @")]  # @ is for Hydra


def option_groups() -> dict[str, dict[str, str]]:
    """Return the descriptions of all options, by group and option."""
    files = sorted(conf_directory().glob("*/*.yaml"))
    groups: dict[str, dict[str, str]] = {group: {} for group in sorted({file.parent.name for file in files})}
    groups["backbone"] = {name: entry.description for name, entry in BACKBONES.items()}
    for file in files:
        groups[file.parent.name][file.stem] = " ".join(comments(file)[:1])
    return groups


def shipped_values() -> dict[str, Any]:
    """Return the defaults in `conf/config.yaml`: the option of each group and the values outside groups."""
    content = yaml.safe_load((conf_directory() / "config.yaml").read_text(encoding="utf-8"))
    chosen = [entry for entry in content.pop("defaults") if isinstance(entry, dict)]
    return content | {group: option for entry in chosen for group, option in entry.items()}


def single_keys() -> list[dataclasses.Field]:
    """Return the fields of the configuration outside groups."""
    return [item for item in dataclasses.fields(Config) if "meaning" in item.metadata]


def as_yaml(value: Any) -> str:
    """Return a value as YAML text."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and descriptions in two columns."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, min_width=18)
    table.add_column(overflow="fold")
    for name, meaning in rows:
        table.add_row(f"  {name}", meaning)
    console.print(table)


def print_help() -> None:
    """Print the usage of `headstart train`, the groups with their options, and the other keys."""
    console.print("[bold]headstart train \\[GROUP=OPTION ...] \\[KEY=VALUE ...][/]   train one run")
    console.print("[bold]headstart train -m GROUP=OPTION,OPTION ...[/]            sweep: a run for each combination\n")
    values = shipped_values()
    for group, options in option_groups().items():
        console.print(f"[bold]{group}[/]  (default: {as_yaml(values.get(group))})")
        print_rows((name, escape(meaning)) for name, meaning in sorted(options.items()))
    console.print("\n[bold]values[/]")
    print_rows(
        (f"{item.name}={as_yaml(values[item.name])}", escape(item.metadata["meaning"])) for item in single_keys()
    )
    console.print(
        "\nSet any key of an option with its dotted name: optimizer.learning_rate=3e-4 freeze.stages.0.epochs=2"
    )
    console.print("All keys, their values and their meaning: docs/configuration.md")
    console.print("Print the composed configuration without running it: headstart train --cfg job")
    console.print("Hydra's own flags: headstart train --hydra-help")
