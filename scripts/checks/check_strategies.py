"""Which strategy wins, and does `headstart recommend` know? `python scripts/checks/check_strategies.py FOLDER...`.

Trains each strategy on each folder of images, over seeds (each splits a folder without splits differently), and asks
`headstart recommend`. Its regret is the best measured accuracy less that of the recommended strategy, in points.
Finished runs and recommendations are reused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from headstart.config import STRATEGIES
from headstart.core.console import console
from headstart.core.markdown_page import row
from headstart.core.paths import outputs_directory
from measured_runs import ROOT, Measured, data_words, folders_parser, measure_seeds, run_headstart, show_table

PAGE = ROOT / "docs" / "strategies.md"
CHECK = "check_strategies"
# What a last layer alone reaches, and what `headstart recommend` tries, by the names that it gives.
MEASURED = {"last layer": ("head=logistic_regression", "freeze=all"), **STRATEGIES}


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, print and write the table, and return the exit code."""
    options = parse(arguments)
    strategies = [name for name in MEASURED if name in options.strategies]
    lines = [
        row("data (train / test)", *strategies, "recommended", "regret"),
        row(*["---"] * (len(strategies) + 3)),
    ]
    for folder in options.folders:
        lines.append(measure(folder, strategies, options))
        console.print(lines[-1], markup=False, soft_wrap=True)
    show_table(lines, PAGE, "check", options.write)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = folders_parser(__doc__, PAGE, seeds=3)
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="image size (128)")
    parser.add_argument(
        "--strategies", nargs="+", default=list(MEASURED), choices=list(MEASURED), help="to measure (all)"
    )
    parser.add_argument("--seconds", default="60", metavar="S", help="for the trials of the recommendation (60)")
    return parser.parse_args(arguments)


def measure(folder: Path, strategies: Sequence[str], options: argparse.Namespace) -> str:
    """Return the row of a data set."""
    common = ["dataset=folder", f"dataset.root={folder.absolute()}", f"image_size={options.size}", "audit=off"]
    found: dict[str, Measured] = {}
    for name in strategies:
        words = [*common, *MEASURED[name]]
        found[name], first = measure_seeds(CHECK, f"{folder.name}_{name}", words, options.seeds)
    recommended = recommend(folder, options)
    best = max(one.accuracy for one in found.values())
    regret = f"{100 * (best - found[recommended].accuracy):.1f}" if recommended in found else "not measured"
    return row(data_words(folder, first), *[cell(one) for one in found.values()], recommended, regret)


def recommend(folder: Path, options: argparse.Namespace) -> str:
    """Return the strategy that `headstart recommend` names."""
    output = outputs_directory() / CHECK / f"{folder.name}_recommended"
    file = output / "recommendation.json"
    words = [str(folder), f"image_size={options.size}", "--output", str(output), "--seconds", options.seconds]
    if not file.exists():
        run_headstart("recommend", *words, "--backbones", "efficientnet_lite0", stdout=subprocess.DEVNULL)
    return str(json.loads(file.read_text(encoding="utf-8"))["strategies"]["strategy"])


def cell(one: Measured) -> str:
    """Return an accuracy in percent with the seconds of training."""
    return f"{one.accuracy:.1%} ({one.seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
