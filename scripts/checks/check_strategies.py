"""Which strategy wins, and does `headstart recommend` know? `python scripts/checks/check_strategies.py FOLDER...`.

Trains each strategy on each folder of images, over seeds (each splits a folder without splits differently), and asks
`headstart recommend`. Its regret is the best measured accuracy less that of the recommended strategy, in points. The
first run of each strategy has a cache of its own, so that the seconds of its command do not depend on the others.
Finished runs and recommendations are reused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headstart.config import STRATEGIES
from headstart.core.console import console
from headstart.core.markdown_page import row
from headstart.core.paths import outputs_directory
from measured_runs import (
    ROOT,
    Measured,
    data_words,
    finished_run,
    folders_parser,
    is_finished,
    run_headstart,
    seed_directory,
    show_table,
    summarise,
    train_seed,
)
from paired_runs import describe_pairs, pair_runs
from strategies_figure import frontier_figure

PAGE = ROOT / "docs" / "strategies.md"
FIGURE = ROOT / "docs" / "images" / "strategies.png"
CHECK = "check_strategies"
LAST_LAYER, EVERY_DEPTH = "last layer", "multi_depth"
# What a last layer alone reaches, and what `headstart recommend` tries, by the names that it gives.
MEASURED = {LAST_LAYER: ("head=logistic_regression", "freeze=all"), **STRATEGIES}
BY_DEFAULT = (LAST_LAYER, EVERY_DEPTH, "last_two_blocks", "none")
FOR_PEOPLE = {EVERY_DEPTH: "every depth", "head_only": "head only", "none": "everything", "first_half": "upper half"}


@dataclass(frozen=True)
class DataSet:
    """What was measured on a folder of images."""

    label: str  # its name with the training images, and those that judge
    found: dict[str, Measured]  # by strategy
    recommended: str | None  # strategy; None if it was not asked for

    @property
    def regret(self) -> float | None:
        """Points of accuracy that the recommended strategy lacks; None if it was not measured."""
        if self.recommended not in self.found:
            return None
        best = max(one.accuracy for one in self.found.values())
        return 100 * (best - self.found[self.recommended].accuracy)


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, print and write the tables and the figure, and return the exit code."""
    options = parse(arguments)
    measured = [one for folder in options.folders if (one := measure(folder, options)).found]
    if not measured:
        console.print("Nothing is measured yet.")
        return 1
    tables = [*accuracy_table(measured, options.strategies), "", *paired_table(measured)]
    show_table(tables, PAGE, "check", options.write)
    if options.write:
        names = {name: for_people(name) for name in MEASURED if any(name in one.found for one in measured)}
        frontier_figure({one.label.partition(" (")[0]: one.found for one in measured}, names).savefig(FIGURE)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = folders_parser(__doc__, PAGE, seeds=3)
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="image size (128)")
    parser.add_argument(
        "--strategies", nargs="+", default=BY_DEFAULT, choices=list(MEASURED), help="to measure (four of them)"
    )
    parser.add_argument("--seconds", default="60", metavar="S", help="for the trials of the recommendation (60)")
    parser.add_argument("--finished", action="store_true", help="train nothing: show what has finished")
    return parser.parse_args(arguments)


def measure(folder: Path, options: argparse.Namespace) -> DataSet:
    """Return what the strategies reached on a data set, with one run of the recommended one if it is none of them."""
    found = {name: one for name in options.strategies if (one := runs_of(folder, name, options.seeds, options))}
    recommended = recommend(folder, options)
    if recommended is not None and recommended not in found and (one := runs_of(folder, recommended, 1, options)):
        found[recommended] = one
    first = next(iter(found.values())).directories[0] if found else None
    return DataSet(data_words(folder, finished_run(first)) if first else folder.name, found, recommended)


def runs_of(folder: Path, name: str, seeds: int, options: argparse.Namespace) -> Measured | None:
    """Return what a strategy reached, after training it where it has not been trained; None without a finished run."""
    common = ["dataset=folder", f"dataset.root={folder.absolute()}", f"image_size={options.size}", "audit=off"]
    setting = f"{folder.name}_{name}"
    if not options.finished:
        for seed in range(seeds):
            train_seed(CHECK, setting, [*common, *MEASURED[name]], seed, empty_cache=seed == 0)
    directories = [seed_directory(CHECK, setting, seed) for seed in range(options.seeds)]
    finished = [directory for directory in directories if is_finished(directory)]
    return summarise(finished) if finished else None


def recommend(folder: Path, options: argparse.Namespace) -> str | None:
    """Return the strategy that `headstart recommend` names; None if it is not to be asked."""
    output = outputs_directory() / CHECK / f"{folder.name}_recommended"
    file = output / "recommendation.json"
    words = [str(folder), f"image_size={options.size}", "--output", str(output), "--seconds", options.seconds]
    if not file.exists():
        if options.finished:
            return None
        run_headstart("recommend", *words, "--backbones", "efficientnet_lite0", stdout=subprocess.DEVNULL)
    return str(json.loads(file.read_text(encoding="utf-8"))["strategies"]["strategy"])


def accuracy_table(measured: list[DataSet], strategies: list[str]) -> list[str]:
    """Return the table of accuracies and seconds, and of the regret of the recommendations."""
    names = [name for name in MEASURED if name in strategies]
    lines = [
        row("data (train / judged by)", *map(for_people, names), "recommended", "regret"),
        row(*["---"] * (len(names) + 3)),
    ]
    for one in measured:
        cells = [cell(one.found[name]) if name in one.found else "not measured" for name in names]
        regret = "not measured" if one.regret is None else f"{one.regret:.1f}"
        lines.append(row(one.label, *cells, recommended_cell(one, names), regret))
    regrets = [one.regret for one in measured if one.regret is not None]
    if regrets:
        lines.append(row("mean", *[""] * (len(names) + 1), f"{fmean(regrets):.2f}"))
    return lines


def recommended_cell(one: DataSet, shown: list[str]) -> str:
    """Return the recommended strategy, with its accuracy if no column shows it."""
    if one.recommended is None:
        return "not asked"
    name = for_people(one.recommended)
    if one.recommended in shown or one.recommended not in one.found:
        return name
    return f"{name}: {cell(one.found[one.recommended])}"


def paired_table(measured: list[DataSet]) -> list[str]:
    """Return the table of paired tests: every depth against the last layer, and against the best fine-tuning."""
    lines = [
        row("data (train / judged by)", "every depth - last layer", "best fine-tuning", "every depth - that"),
        row(*["---"] * 4),
    ]
    for one in measured:
        tuned = best_fine_tuning(one)
        against = (f"{for_people(tuned)}", pairs_cell(one, tuned)) if tuned else ("not measured", "")
        lines.append(row(one.label, pairs_cell(one, LAST_LAYER), *against))
    return lines


def best_fine_tuning(one: DataSet) -> str | None:
    """Return the strategy that is best on validation images among those that change the backbone; None without one."""
    tuned = {name: found for name, found in one.found.items() if "freeze=all" not in MEASURED[name]}
    return max(tuned, key=lambda name: tuned[name].validation, default=None)


def pairs_cell(one: DataSet, reference: str) -> str:
    """Return how much better every depth is than another strategy, with the paired test."""
    if reference not in one.found or EVERY_DEPTH not in one.found:
        return "not measured"
    return describe_pairs(pair_runs(one.found[reference].directories, one.found[EVERY_DEPTH].directories))


def for_people(name: str) -> str:
    """Return the name of a strategy for people."""
    return FOR_PEOPLE.get(name, name.replace("_", " "))


def cell(one: Measured) -> str:
    """Return the mean accuracy with its standard deviation, the number of runs, and the seconds of a command."""
    runs = len(one.directories)
    spread = "" if one.deviation is None else f" ± {100 * one.deviation:.1f}"
    return f"{100 * one.accuracy:.1f}{spread} % ({runs} run{'s' * (runs > 1)}, {one.command_seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
