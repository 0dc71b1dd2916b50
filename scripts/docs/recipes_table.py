"""Put what runs measured into docs/recipes.md and the recipes' own files: `python scripts/docs/recipes_table.py`."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from headstart.config import Config, compose, from_yaml
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.files import write_json, write_text
from headstart.core.markdown_page import replace_block, row
from headstart.core.paths import conf_directory
from headstart.core.program import exit_with
from headstart.results.codec import to_plain
from headstart.results.file import read_results
from headstart.results.runs import find_run, finished_runs
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]

PAGE = ROOT / "docs" / "recipes.md"
MEASURED = ROOT / "docs" / "results"  # of each recipe and backbone, the figures of one run
COLUMNS = ("recipe", "published", "backbone", "test accuracy (95 % interval)", "validation", "whole command", "on")
NOT_MEASURED = "not measured yet"


def main(arguments: list[str] | None = None) -> int:
    """Keep the figures of runs, write the table from all that were kept, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="*", help="directories or MLflow ids of runs (the last finished one of each recipe and backbone)"
    )
    try:
        keep_figures(parser.parse_args(arguments).runs)
        kept = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(MEASURED.glob("*.json"))]
        replace_block(PAGE, "recipes", recipes_block(kept))
        for file in sorted((conf_directory() / "experiment").glob("*.yaml")):
            write_text(file, with_measured(file.read_text(encoding="utf-8"), of_recipe(kept, file.stem)))
    except HeadstartError as error:
        print_error(error)
        return 1
    console.print(f"{len(kept)} measurements under {MEASURED}; the table is in {PAGE}", markup=False, soft_wrap=True)
    return 0


def keep_figures(names: list[str]) -> None:
    """Keep the figures of the named runs, or of the last finished run of each recipe and backbone.

    Raises:
        HeadstartError: for a name that is no run, or a run that follows no recipe.
    """
    MEASURED.mkdir(parents=True, exist_ok=True)
    for directory in [find_run(name) for name in names] or [run for run, _ in finished_runs()]:
        results = read_results(directory)
        recipe = results.recipe.name if results and results.recipe else None
        if recipe is None and names:
            raise HeadstartError(f"Expected a finished run of a recipe. Received: {directory}")
        if results is not None and recipe is not None:
            config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
            write_json(MEASURED / f"{recipe}-{config.backbone.name}.json", figures_of(results, config))


def figures_of(results: RunResults, config: Config) -> dict[str, Any]:
    """Return what the table shows of a run: its figures and what they depend on, no paths of the machine."""
    return {
        "recipe": results.recipe.name if results.recipe else None,
        "command": results.command,
        "seed": results.seed,
        "backbone": {"name": config.backbone.name, "weights": config.backbone.weights},
        "dataset": {key: value for key, value in to_plain(results.dataset).items() if key != "root"},  # of this machine
        "splits": {split: to_plain(figures.whole_split()) for split, figures in (results.splits or {}).items()},
        "stages": to_plain(results.stages or {}),
        "pictures": to_plain(results.pictures.first if results.pictures else ()),
        "seconds": to_plain(results.seconds),
        "environment": {
            key: value
            for key, value in to_plain(results.environment).items()
            if key in ("python", "processors", "gpus", "precision", "packages")
        },
    }


def of_recipe(kept: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the measurements of one recipe."""
    return [measured for measured in kept if measured["recipe"] == name]


def recipes_block(kept: list[dict[str, Any]]) -> str:
    """Return the block between the two comments: a row for each recipe and backbone that was measured."""
    lines = [
        "<!-- recipes: written by scripts/docs/recipes_table.py -->",
        row(*COLUMNS),
        f"|{' --- |' * len(COLUMNS)}",
    ]
    for file in sorted((conf_directory() / "experiment").glob("*.yaml")):
        config = compose([f"experiment={file.stem}"])
        if config.recipe.name is None:  # an experiment that follows no published recipe
            continue
        link = f"[`{file.stem}`](../conf/experiment/{file.name})"
        rows = of_recipe(kept, file.stem)
        if not rows:
            lines.append(row(link, config.recipe.published or "", config.backbone.name, NOT_MEASURED, "", "", ""))
        for measured in rows:
            validation = measured["splits"].get("validation")
            lines.append(
                row(
                    link,
                    config.recipe.published or "",
                    measured["backbone"]["name"],
                    result(measured),
                    interval(validation) if validation else "",
                    f"{measured['seconds']['total']:.0f} s",
                    hardware(measured),
                )
            )
    commands = [f"{measured['command']}" for measured in kept]
    if commands:
        lines += ["", "The rows with results come from these commands:", "", "```", *commands, "```"]
    return "\n".join([*lines, "<!-- /recipes -->"])


def result(measured: dict[str, Any]) -> str:
    """Return what a run found on the test images; for a pretrained network as it is, how it labelled the images."""
    if measured["pictures"]:
        return ", ".join(f"{picture['label']} {picture['confidence']:.1%}" for picture in measured["pictures"])
    text = interval(measured["splits"]["test"])
    before = [
        f"{name} {stage['test']['accuracy']:.1%}"
        for name, stage in list(measured["stages"].items())[:-1]
        if "test" in stage
    ]
    return f"{text}, after the stage {', '.join(before)}" if before else text


def interval(figures: dict[str, Any]) -> str:
    """Return an accuracy with its 95 % interval and the number of images."""
    low, high = figures["accuracy_low"], figures["accuracy_high"]
    return f"{figures['accuracy']:.2%} ({low:.1%} to {high:.1%}) of {figures['images']:,}"


def hardware(measured: dict[str, Any]) -> str:
    """Return what a run was computed on."""
    environment = measured["environment"]
    gpus = f"{len(environment['gpus'])} GPU" if environment["gpus"] else "no GPU"
    return f"{environment['processors']} cores, {gpus}, TensorFlow {environment['packages']['tensorflow']}"


def with_measured(text: str, rows: list[dict[str, Any]]) -> str:
    """Return the text of a recipe's file with what was measured in its line `# Measured: `."""
    said = "; ".join(
        f"{result(measured)} with {measured['backbone']['name']} in {measured['seconds']['total']:.0f} s"
        for measured in rows
    )
    return re.sub(r"^# Measured: .*$", lambda _: f"# Measured: {said or NOT_MEASURED}.", text, flags=re.MULTILINE)


if __name__ == "__main__":
    exit_with(main, ROOT)
