"""What do WiSE-FT, test-time flips, temperature and soup gain? `python scripts/checks/check_better_models.py FOLDER`.

Trains one sweep over seeds for each folder of images, with all three refinements, and makes a soup of its runs. A row
of the table is the mean over seeds; p-values are McNemar's on the test images. Finished jobs are reused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from headstart.core.markdown_page import row
from headstart.core.paths import outputs_directory
from headstart.results.codec import from_plain
from headstart.results.file import read_results
from headstart.results.refinements import PairedTest
from headstart.results.soup import Soup
from headstart.results.types import RunResults
from measured_runs import ROOT, data_words, folders_parser, run_headstart, show_table

PAGE = ROOT / "docs" / "better_models.md"
REFINED = ("interpolate=wise_ft", "tta=flip", "calibrate=temperature")
NETWORK = ("backbone=efficientnet_lite0", "image_size=128", "freeze=last_two_blocks")
SIGNIFICANT = 0.05


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing, print and write the table, and return the exit code."""
    options = parse(arguments)
    lines = [
        row("data (train / test), runs", "refinement", "validation", "test", "significant on test"),
        row("---", "---", "---", "---", "---"),
    ]
    for folder in options.folders:
        runs, soup = measure(folder, options)
        lines += rows_of(f"{data_words(folder, runs[0])}, {len(runs)}", runs, soup)
    show_table(lines, PAGE, "check", options.write)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = folders_parser(__doc__, PAGE, seeds=4)
    parser.add_argument("--epochs", type=int, default=4, metavar="N", help="epochs of each stage (4)")
    parser.add_argument("--fraction", default="1.0", metavar="SHARE", help="share of the training images (1.0)")
    return parser.parse_args(arguments)


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[RunResults], Soup]:
    """Return the results of a sweep over seeds, and its soup."""
    name = f"better_models_{folder.name}"
    seeds = ",".join(map(str, range(options.seeds)))
    words = [
        *("dataset=folder", f"dataset.root={folder.absolute()}", f"dataset.fraction={options.fraction}", "audit=off"),
        *(*NETWORK, *REFINED, f"epochs={options.epochs}", f"seed={seeds}", f"sweep.name={name}"),
    ]
    sweep = outputs_directory() / "sweeps" / name
    run_headstart("train", "-m", *words)
    run_headstart("soup", str(sweep))
    found = [read_results(sweep / str(number)) for number in range(options.seeds)]
    soup = json.loads((sweep / "soup" / "soup.json").read_text(encoding="utf-8"))
    return [results for results in found if results is not None], from_plain(Soup, soup)


def rows_of(data: str, runs: Sequence[RunResults], soup: Soup) -> list[str]:
    """Return the rows of a data set."""
    interpolated = [one.interpolation.tests for one in runs if one.interpolation and one.interpolation.tests]
    flipped = [one.flips.tests for one in runs if one.flips]
    return [
        row(data, "WiSE-FT against fine-tuning", *cells(interpolated)),
        row(data, "flips against none", *cells(flipped)),
        row(data, "soup against the best run", *cells([soup.tests])),
        row(data, "temperature: calibration error", *changes(runs, "calibration_error"), ""),
        row(data, "temperature: log loss", *changes(runs, "log_loss"), ""),
    ]


def cells(tests: Sequence[dict[str, PairedTest]]) -> list[str]:
    """Return the mean accuracy without and with a refinement, and how many differences are significant."""
    if not tests:
        return ["no fine-tuned epoch beat the probe", "", ""]
    means = [
        f"{fmean(one[split].accuracy_before for one in tests):.1%} → "
        f"{fmean(one[split].accuracy_after for one in tests):.1%}"
        for split in ("validation", "test")
    ]
    found = [one["test"] for one in tests if one["test"].p_value <= SIGNIFICANT]
    better = sum(test.accuracy_after > test.accuracy_before for test in found)
    return [*means, f"better {better}, worse {len(found) - better} of {len(tests)}"]


def changes(runs: Sequence[RunResults], figure: str) -> list[str]:
    """Return the mean of a figure before and after calibration on both splits."""
    found = []
    for split in ("validation", "test"):
        before = fmean(getattr(one.calibration.before[split], figure) for one in runs if one.calibration)
        after = fmean(getattr(one.splits[split], figure) for one in runs if one.splits)
        found.append(f"{before:.3f} → {after:.3f}")
    return found


if __name__ == "__main__":
    sys.exit(main())
