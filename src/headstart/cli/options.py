"""The options that `conf/` and the registry of backbones offer, with their descriptions and the values they set."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from headstart.core.paths import conf_directory
from headstart.model.backbones.entries import BACKBONES

OF_A_RECIPE = "Of the recipe "  # the third comment of an option that is of no use elsewhere


def comments(file: Path) -> list[str]:
    """Return the comment lines at the top of a YAML file: the option's description, then a command to try."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    return [line.removeprefix("#").strip() for line in lines if not line.startswith("# @")]  # @ is for Hydra


def option_groups() -> dict[str, dict[str, str]]:
    """Return the descriptions of all options, by group and option."""
    files = sorted(conf_directory().glob("*/*.yaml"))
    groups: dict[str, dict[str, str]] = {group: {} for group in sorted({file.parent.name for file in files})}
    packaged_first = sorted(BACKBONES.items(), key=lambda named: not named[1].package)
    groups["backbone"] = {name: entry.description for name, entry in packaged_first}
    for file in files:
        groups[file.parent.name][file.stem] = " ".join(comments(file)[:1])
    return groups


def recipe_options(group: str) -> set[str]:
    """Return the options of a group that only a recipe needs."""
    files = (conf_directory() / group).glob("*.yaml")
    return {file.stem for file in files if any(line.startswith(OF_A_RECIPE) for line in comments(file))}


def shipped_values() -> dict[str, Any]:
    """Return the defaults in `conf/config.yaml`: the option of each group and the values outside groups."""
    content = yaml.safe_load((conf_directory() / "config.yaml").read_text(encoding="utf-8"))
    chosen = [entry for entry in content.pop("defaults") if isinstance(entry, dict)]
    return content | {group: option for entry in chosen for group, option in entry.items()}


def option_values(group: str, option: str) -> dict[str, Any]:
    """Return the values that an option sets, by their dotted keys.

    Args:
        group: of the configuration.
        option: of the group; one without a file sets nothing.
    """
    file = conf_directory() / group / f"{option}.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    return _dotted(content, f"{group}.") if isinstance(content, dict) else {}


def _dotted(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
