"""`headstart train --help`: one screen; `--help GROUP` and `--help KEY`: everything about one of them."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape

from headstart.cli.options import option_groups, option_values, recipe_options, shipped_values
from headstart.config import Config
from headstart.config.accepted import accepted_values, as_yaml
from headstart.config.fields import REQUIRED, Decides
from headstart.config.keys import Key, keys_of
from headstart.config.overrides import override_key
from headstart.config.suggestions import CHOSEN_ALONE, HELP, group_names, unknown_key
from headstart.core.console import console
from headstart.core.error_output import print_error

INDEX = re.compile(r"\.\d+(?=\.|$)")  # the position of a stage in a key
GROUPS = {  # on the first screen, with a few words; the first are needed most
    "dataset": "the images: folder, csv, tfds, mnist and others",
    "backbone": "the pretrained network",
    "freeze": "what trains when: the head, the last blocks, all",
    "head": "the new layers on top",
    "augmentation": "random changes to training images",
    "optimizer": "the optimizer, its learning rate and schedule",
    "scenario": "auto tries strategies and takes the best",
    "sweep": "many runs with one command, such as all heads",
    "experiment": "a whole recipe",
    "cv": "cross-validation: headstart train -m cv.folds=5",
    "tracking": "where MLflow keeps the runs",
    "cache": "what is computed once and kept on disk",
}
FIRST_KEYS = {  # on the first screen as well
    "epochs": "epochs of every stage; null: the schedule's",
    "image_size": "side in pixels; null: as data or backbone say",
    "batch_size": "images per batch",
    "optimizer.learning_rate": "learning rate of the head and the top block",
    "dataset.root": "directory of your images",
    "dataset.fraction": "share of the training images to use",
    "seed": "seed of weights, shuffling and augmentation",
    "device": "cpu, gpu or auto",
    "plan": "true: print time and disk space, train nothing",
    "resume": "interrupted run: latest, auto or a directory",
    "reproduce": "run to repeat: latest, best or a directory",
}
# The order of keys in their group; the others follow as the schema has them.
COMMON = (
    *FIRST_KEYS,
    *("dataset.classes", "dataset.split.test", "head.dropout", "head.units", "augmentation.views", "backbone.weights"),
    *("freeze.stages.*.epochs", "freeze.stages.*.train", "optimizer.weight_decay", "optimizer.schedule.name"),
    *("cv.folds", "tracking.uri", "cache.max_gb"),
)
DOWNLOADED = "; ImageNet by download"
STAGE_OPTIMIZER = "freeze.stages.*.optimizer."


def print_help(words: Sequence[str]) -> int:
    """Print the help that a command line asks for, and return the exit code: 1 for an unknown topic.

    Args:
        words: arguments of `headstart train` with `--help`; the words behind it are groups or keys.
    """
    behind = words[max(words.index(flag) for flag in ("--help", "-h") if flag in words) + 1 :]
    topics = [override_key(word) for word in behind if not word.startswith("-")]
    if not topics:
        _print_first_screen()
    for topic in topics:
        keys = _keys_below(INDEX.sub(".*", topic))
        exact = next((key for key in keys if key.name == INDEX.sub(".*", topic)), None)
        if exact is not None:
            _print_key(exact)
        elif topic in group_names():
            _print_group(topic, keys)
        elif keys:
            _print_keys(keys)
        else:
            print_error(unknown_key(topic))
            return 1
    return 0


def _keys_below(name: str) -> list[Key]:
    """Return the keys of a group, the common ones first; of a key itself, that key."""
    found = [key for key in keys_of(Config) if key.name == name or key.name.startswith(f"{name}.")]
    order = {common: position for position, common in enumerate(COMMON)}
    return sorted(found, key=lambda key: order.get(key.name, len(order)))


def _print_first_screen() -> None:
    """Print the usage, the groups and the common keys."""
    console.print("[bold]Usage:[/] headstart train \\[-m] \\[GROUP=OPTION ...] \\[KEY=VALUE ...]\n")
    console.print("[bold]Examples:[/]")
    _print_rows(
        (
            ("headstart train", "on built-in digits"),
            ("headstart train dataset=folder dataset.root=~/photos", "a folder for each class"),
            ("headstart train -m freeze=all,last_block seed=0,1", "a sweep of four runs"),
        )
    )
    values = shipped_values()
    console.print(f"\n[bold]Groups[/] and their defaults ({HELP} GROUP lists options and keys):")
    _print_rows((f"{group}={values[group]}" if values.get(group) else group, text) for group, text in GROUPS.items())
    known = {key.name: key for key in keys_of(Config)}
    console.print(f"\n[bold]Common keys[/] ({HELP} KEY explains one):")
    _print_rows((_assignment(known[name], values), text) for name, text in FIRST_KEYS.items())
    others = [name for name in known if "." not in name and name not in FIRST_KEYS]
    _print_paragraph("Other keys", ", ".join(others))
    _print_paragraph(
        "Flags", "-m runs a sweep; --cfg job prints the configuration and ends; --hydra-help lists Hydra's own"
    )


def _print_group(group: str, keys: list[Key]) -> None:
    """Print the options of a group, those of recipes apart, and its keys."""
    values, options, of_recipes = shipped_values(), option_groups().get(group, {}), recipe_options(group)
    hint = typing.get_type_hints(Config).get(group)
    meaning = f"{GROUPS[group].capitalize()}." if group in CHOSEN_ALONE else str(hint.__doc__).splitlines()[0]
    console.print(f"[bold]{group}[/]: {escape(meaning)}\n")
    if options:
        default = f", by default {values[group]}" if values.get(group) else ""
        more = "; weights are ImageNet's, by download if nothing else is said" if group == "backbone" else ""
        console.print(f"[bold]Options:[/] {group}=NAME{default}{more}")
        _print_rows((name, text.replace(DOWNLOADED, "")) for name, text in options.items() if name not in of_recipes)
    if of_recipes:
        console.print(f"\n[bold]Of recipes[/] ({HELP} experiment lists those):")
        _print_rows((name, options[name]) for name in sorted(of_recipes))
    if keys:
        console.print("\n[bold]Keys:[/] KEY=VALUE, with their defaults" if options else "[bold]Keys:[/]")
        _print_keys(keys)


def _print_keys(keys: Iterable[Key]) -> None:
    """Print keys with their defaults and meanings; the optimizers of stages have those of `optimizer`."""
    values = shipped_values()
    shown = [key for key in keys if key.decides is not Decides.NAME and key.field.default_factory is not dict]
    stages = [key for key in shown if key.name.startswith(STAGE_OPTIMIZER)]
    named = shown if len(stages) == len(shown) else [key for key in shown if key not in stages]
    rows = [(_assignment(key, values), key.field.metadata["meaning"]) for key in named]
    if stages and named is not shown:
        rows += [(f"{STAGE_OPTIMIZER}KEY".replace("*", "N"), f"any key of optimizer, see {HELP} optimizer")]
    _print_rows(rows)


def _print_key(key: Key) -> None:
    """Print everything about a key."""
    declared, values = key.field.metadata, shipped_values()
    unit = f" ({declared['unit']})" if declared.get("unit") else ""
    console.print(f"[bold]{key.name.replace('*', 'N')}[/]: {escape(declared['meaning'])}\n")
    group = key.name.partition(".")[0]
    option = f" (of {group}={values[group]})" if "." in key.name and values.get(group) else ""
    default = f"{_default(key, values)}{option}" if _default(key, values) else "the schedule sets it"
    if key.name.startswith(STAGE_OPTIMIZER):
        default = f"that of {key.name.removeprefix('freeze.stages.*.')}, if the schedule sets none"
    rows = [("accepts", f"{accepted_values(key)}{unit}"), ("default", default)]
    rows += [("decides", key.decides.value), ("formerly", declared.get("formerly", ""))]
    _print_rows(row for row in rows if row[1])


def _assignment(key: Key, values: dict[str, Any]) -> str:
    """Return `KEY=DEFAULT` as on the command line, or a key without a default."""
    return f"{key.name.replace('*', 'N')}={_default(key, values)}".removesuffix("=")


def _default(key: Key, values: dict[str, Any]) -> str:
    """Return the value of a key in a run without overrides; empty where each stage has its own."""
    group = key.name.partition(".")[0]
    found = {**option_values(group, str(values.get(group))), **values}.get(key.name, key.field.default)
    return "" if found == REQUIRED or found is dataclasses.MISSING else as_yaml(found)


def _print_paragraph(label: str, text: str) -> None:
    """Print a label and a text of several lines, in a pipe as well, where help is read page by page."""
    lines = textwrap.fill(
        text, console.width, break_on_hyphens=False, initial_indent=" " * len(f"{label}: "), subsequent_indent="  "
    )
    console.print(f"\n[bold]{label}:[/] {escape(lines.lstrip())}")


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and descriptions in two columns, the second one wrapped; names are never broken."""
    listed = list(rows)
    indent = max([12, *(len(name) for name, _ in listed)]) + 4
    for name, text in listed:
        first, *more = textwrap.wrap(text, max(console.width - indent, 24), break_on_hyphens=False) or [""]
        for line in (f"  {name:<{indent - 2}}{first}", *(f"{'':{indent}}{line}" for line in more)):
            console.print(line.rstrip(), markup=False, soft_wrap=True)
