"""Is the recommended scenario the best of the four? `python scripts/checks/check_scenarios.py dogs_vs_cats`.

Measures each data set, trains all four scenarios with several seeds, and compares the recommended one with the best on
the same test images: a tie where a paired bootstrap over the images finds no
significant difference.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from headstart.config import CELLS
from headstart.core.console import console, print_titled
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.markdown_page import replace_block, row
from headstart.core.paths import outputs_directory
from headstart.core.program import exit_with
from headstart.results.file import read_results
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]

PAGE = ROOT / "docs" / "scenarios.md"
SAMPLES = 10_000  # of the bootstrap
CONFIDENCE = 0.95


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print and write the tables, and return the exit code."""
    options = parse(arguments)
    try:
        placed = options.measure.split(",") if options.measure else []
        found = {name: check(name, options, name in options.datasets) for name in [*options.datasets, *placed]}
        for name, one in found.items():
            show(name, one)
        if options.write:
            replace_block(PAGE, "check", block(found, options))
    except HeadstartError as error:
        print_error(error)
        return 1
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", metavar="DATASET", help="options of the group dataset")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each scenario (3)")
    parser.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the images (128)")
    parser.add_argument("--backbone", default="efficientnet_lite0", metavar="NAME", help="(efficientnet_lite0)")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="more of the configuration")
    parser.add_argument("--measure", metavar="A,B", help="data sets that are placed too, without training")
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="of the runs (outputs/check_scenarios)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scenarios.md")
    return parser.parse_args(arguments)


def check(dataset: str, options: argparse.Namespace, train: bool) -> dict[str, Any]:
    """Measure a data set and train what has not been trained, and return what was found.

    Args:
        dataset: option of the group dataset.
        options: of the command line.
        train: all four scenarios, not only place the data set.
    """
    directory = (options.output or outputs_directory() / "check_scenarios") / dataset
    common = [f"dataset={dataset}", f"image_size={options.image_size}", f"backbone={options.backbone}", *options.set]
    measured = directory / "measured"
    started = time.monotonic()
    run("recommend", *common, "--backbones", options.backbone, "--output", measured)
    seconds = time.monotonic() - started
    scenario = json.loads((measured / "recommendation.json").read_text(encoding="utf-8"))["scenario"]
    found: dict[str, Any] = {"scenario": scenario, "seconds": seconds, "runs": {}}
    for cell in CELLS if train else []:
        seeds = [seed for seed in range(options.seeds) if results_of(directory / cell / str(seed)) is None]
        if seeds:
            sweep = [f"hydra.sweep.dir={directory / cell}", "hydra.sweep.subdir=${seed}"]
            run("train", "-m", *common, f"scenario={cell}", f"seed={','.join(map(str, seeds))}", *sweep)
        found["runs"][cell] = [directory / cell / str(seed) for seed in range(options.seeds)]
    return found


def run(*words: object) -> None:
    """Run a command of headstart and show what it prints.

    Raises:
        HeadstartError: when it fails.
    """
    command = [str(word) for word in words]
    if subprocess.run([sys.executable, "-m", "headstart", *command], check=False).returncode:
        raise HeadstartError(f"Expected this to succeed: {shlex.join(['headstart', *command])}. Received: a failure")


def results_of(directory: Path) -> RunResults | None:
    """Return the results of a finished run; None if there is none."""
    results = read_results(directory)
    return results if results is not None and results.finished else None


def correct_of(directory: Path) -> dict[str, bool]:
    """Return which test images a run gets right, by path."""
    with (directory / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return {line["path"]: line["correct"] == "1" for line in csv.DictReader(file) if line["split"] == "test"}


def compare(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each scenario, the best first, with its lag behind the best on the same test images.

    Args:
        found: what `check` returns.
    """
    shares, rows = {}, []
    for cell, directories in found["runs"].items():
        runs = [correct_of(directory) for directory in directories]
        paths = sorted(runs[0])
        shares[cell] = np.mean([[one[path] for path in paths] for one in runs], axis=0)  # of the seeds, by image
        finished = [ran for path in directories if (ran := results_of(path))]
        accuracies = [ran.test.accuracy for ran in finished if ran.test]
        rows.append(
            {
                "cell": cell,
                "images": len(paths),
                "accuracy": float(np.mean(accuracies)),
                "least": min(accuracies),
                "most": max(accuracies),
                "validation": float(np.mean([ran.validation.accuracy for ran in finished if ran.validation])),
                "seconds": float(np.mean([ran.seconds.total for ran in finished if ran.seconds])),
            }
        )
    rows.sort(key=lambda one: -one["accuracy"])
    best = shares[rows[0]["cell"]]
    for one in rows:
        differences = best - shares[one["cell"]]
        drawn = np.random.default_rng(0).integers(0, len(best), (SAMPLES, len(best)))
        low, high = np.quantile(differences[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        one.update(low=float(low), high=float(high), tie=bool(low <= 0 <= high))
    return rows


def show(dataset: str, found: dict[str, Any]) -> None:
    """Print the measured scenario of a data set, and the accuracy of all four on it, the best first."""
    cell = found["scenario"]["cell"]
    console.print(f"\n[bold]{dataset}[/] is {cell}, measured in {found['seconds']:.0f} s")
    if not found["runs"]:
        return
    table = Table()
    for column in ("scenario", "test", "over the seeds", "points behind", "", "valid.", "s"):
        table.add_column(column, justify="left" if column == "scenario" else "right", no_wrap=column == "scenario")
    rows = compare(found)
    for one in rows:
        table.add_row(*cells_of(one, cell))
    print_titled(f"{dataset}: {rows[0]['images']} test images", table)


def cells_of(one: dict[str, Any], recommended: str) -> tuple[str, ...]:
    """Return a row of the table as texts."""
    return (
        f"{'-> ' if one['cell'] == recommended else ''}{one['cell']}",
        f"{one['accuracy']:.4f}",
        f"{one['least']:.3f} to {one['most']:.3f}",
        f"{100 * one['low']:+.1f} to {100 * one['high']:+.1f}",
        "tie" if one["tie"] else "behind",
        f"{one['validation']:.4f}",
        f"{one['seconds']:.0f}",
    )


def block(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the tables as Markdown."""
    measure = [f"--measure {options.measure}"] if options.measure else []
    command = " ".join(["python scripts/checks/check_scenarios.py", *options.datasets, *measure, "--write"])
    lines = ["<!-- check: written by scripts/checks/check_scenarios.py -->"]
    lines.append(f"`{command}`: {options.backbone}, {options.image_size} px, {options.seeds} seeds.")
    for name, one in found.items():
        scenario, best, last = one["scenario"], one["scenario"]["best"], one["scenario"]["last"]
        imagenet = scenario["imagenet"]
        labels = ", ".join(f"{label} {share:.0%}" for label, share in imagenet["labels"]) if imagenet else "unknown"
        confidence = (
            f"has a mean confidence of {imagenet['confidence']:.0%}, entropy {imagenet['entropy']:.0%}"
            if imagenet
            else "is unknown"
        )
        p_value = "-" if scenario["chance_of_gain"] is None else f"{scenario['chance_of_gain']:.1g}"
        lines += [
            "",
            f"**{name}**: {scenario['cell']}. {scenario['images_per_class']['median']:,.0f} training images a class; "
            f"of {scenario['measured_images']:,} measured, the probe at the last split point gets "
            f"{last['accuracy']:.1%} right, the best one ({best['split_point']}, {best['depth']:.0%} of the depth) "
            f"{best['accuracy']:.1%}, p = {p_value}; ImageNet's classifier {confidence}: {labels}.",
        ]
        if one["runs"]:
            names = (
                "scenario",
                "test accuracy",
                "lowest to highest",
                "points behind the best, 95 %",
                "",
                "validation",
                "seconds",
            )
            lines += ["", row(*names), row("---", *["---:"] * 6)]
            lines += [row(*cells_of(line, scenario["cell"])) for line in compare(one)]
    return "\n".join([*lines, "<!-- /check -->"])


if __name__ == "__main__":
    exit_with(main, ROOT)
