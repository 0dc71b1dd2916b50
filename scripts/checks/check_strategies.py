"""Which strategy wins, and does `headstart recommend` know? `python scripts/checks/check_strategies.py FOLDER...`.

Trains each strategy on each folder of images, over seeds (a folder without splits is split anew by each), and asks
`headstart recommend`. Its regret is the best measured accuracy less that of the recommended strategy, in points.
Finished runs and recommendations are not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headstart.core.console import console
from headstart.core.markdown_page import replace_block, row
from headstart.core.paths import outputs_directory
from headstart.results.file import read_results
from headstart.results.types import RunResults

ROOT = Path(__file__).absolute().parents[2]
PAGE = ROOT / "docs" / "strategies.md"
# By the names that `headstart recommend` gives them, and what a last layer alone reaches.
STRATEGIES = {
    "last layer": ("head=logistic_regression", "freeze=all"),
    "multi_depth": ("head=multi_depth", "freeze=all"),
    "last_two_blocks": ("head=linear", "freeze=last_two_blocks"),
    "first_half": ("head=linear", "freeze=first_half"),
    "none": ("head=linear", "freeze=none"),
}


@dataclass(frozen=True)
class Measured:
    """A strategy on a data set."""

    validation: float  # mean accuracy over seeds, 0 to 1
    test: float | None
    seconds: float  # mean of training, which is what differs between strategies

    @property
    def accuracy(self) -> float:
        """The accuracy that counts: on the test images if there are any."""
        return self.validation if self.test is None else self.test


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, print and write the table, and return the exit code."""
    options = parse(arguments)
    strategies = [name for name in STRATEGIES if name in options.strategies]
    lines = [
        row("data (train / test)", *strategies, "recommended", "regret"),
        row(*["---"] * (len(strategies) + 3)),
    ]
    for folder in options.folders:
        lines.append(measure(folder, strategies, options))
        console.print(lines[-1], markup=False, soft_wrap=True)
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    if options.write:
        replace_block(PAGE, "check", "\n".join(["<!-- check -->", *lines, "<!-- /check -->"]))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of images")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each strategy (3)")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="image size (128)")
    parser.add_argument(
        "--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES), help="to measure (all)"
    )
    parser.add_argument("--seconds", default="60", metavar="S", help="for the trials of the recommendation (60)")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE.relative_to(ROOT)}")
    return parser.parse_args(arguments)


def measure(folder: Path, strategies: Sequence[str], options: argparse.Namespace) -> str:
    """Return the row of a data set."""
    common = ["dataset=folder", f"dataset.root={folder.absolute()}", f"image_size={options.size}", "audit=off"]
    found: dict[str, Measured] = {}
    images: dict[str, int] = {}
    for name in strategies:
        runs = [train(folder, name, seed, common) for seed in range(options.seeds)]
        found[name] = summary(runs)
        images = runs[0].dataset.images if runs[0].dataset else {}
    recommended = recommend(folder, options)
    best = max(one.accuracy for one in found.values())
    regret = f"{100 * (best - found[recommended].accuracy):.1f}" if recommended in found else "not measured"
    shown = [cell(one) for one in found.values()]
    evaluated = images.get("test") or images.get("validation")
    return row(f"{folder.name} ({images.get('train'):,} / {evaluated:,})", *shown, recommended, regret)


def train(folder: Path, name: str, seed: int, common: Sequence[str]) -> RunResults:
    """Return the results of a run, after running it if it has not finished before.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    output = outputs_directory() / "check_strategies" / f"{folder.name}_{name.replace(' ', '_')}_{seed}"
    done = read_results(output) if output.is_dir() else None
    if done is None or not done.finished:
        words = [*common, *STRATEGIES[name], f"seed={seed}", f"dataset.split.seed={seed}", f"hydra.run.dir={output}"]
        subprocess.run([sys.executable, "-m", "headstart", "train", *words], check=True, stdout=subprocess.DEVNULL)
        done = read_results(output)
    if done is None:
        raise ValueError(f"Expected results.json in {output}. Received: none")
    return done


def summary(runs: Sequence[RunResults]) -> Measured:
    """Return the means over runs."""
    tests = [one.test.accuracy for one in runs if one.test is not None]
    return Measured(
        fmean(one.validation.accuracy for one in runs if one.validation is not None),
        fmean(tests) if tests else None,
        fmean((one.seconds.training or 0.0) for one in runs if one.seconds is not None),
    )


def recommend(folder: Path, options: argparse.Namespace) -> str:
    """Return the strategy that `headstart recommend` names."""
    output = outputs_directory() / "check_strategies" / f"{folder.name}_recommended"
    file = output / "recommendation.json"
    words = [str(folder), f"image_size={options.size}", "--output", str(output), "--seconds", options.seconds]
    words += ["--backbones", "efficientnet_lite0"]
    if not file.exists():
        command = [sys.executable, "-m", "headstart", "recommend", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(file.read_text(encoding="utf-8"))
    return str(found["strategies"]["strategy"])


def cell(one: Measured) -> str:
    """Return an accuracy in percent with the seconds of training."""
    return f"{one.accuracy:.1%} ({one.seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main())
