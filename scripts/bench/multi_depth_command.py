"""How long is a command of `head=multi_depth`? `python scripts/bench/multi_depth_command.py FOLDER...`.

Times the whole command, from start to exit, of `head=multi_depth` and of `head=logistic_regression` in turn: with an
empty cache of its own each time, and again with that cache filled. The median of the repetitions is shown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from bench_reports import measure_in_turn
from headstart.core.console import console
from headstart.core.markdown_page import replace_block, row
from headstart.core.paths import outputs_directory
from timed_run import ROOT, run, workspace

PAGE = ROOT / "docs" / "strategies.md"
LAST_LAYER, EVERY_DEPTH = "logistic_regression", "multi_depth"
CACHES = ("empty", "filled")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of images")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="image size (128)")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="of which the median is shown (3)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/strategies.md")
    options = parser.parse_args(arguments)
    lines = [row("data", "cache", "last layer", "every depth", "ratio"), row("---", "---", "---:", "---:", "---:")]
    for folder in options.folders:
        found = measure(folder, options)
        for position, cache in enumerate(CACHES):
            last, every = (median(times[position] for times in found[head]) for head in (LAST_LAYER, EVERY_DEPTH))
            lines.append(row(folder.name, cache, f"{last:.1f} s", f"{every:.1f} s", f"{every / last:.2f}"))
            console.print(lines[-1], markup=False, soft_wrap=True)
    if options.write:
        replace_block(PAGE, "command", "\n".join(["<!-- command -->", *lines, "<!-- /command -->"]))
    return 0


def measure(folder: Path, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of the command with an empty cache and with a filled one, of each repetition, by head."""
    common = ["dataset=folder", f"dataset.root={folder.absolute()}", f"image_size={options.size}", "audit=off"]
    sides: dict[str, Callable[[], tuple[float, float]]] = {
        head: partial(run_twice, [*common, f"head={head}", "freeze=all"]) for head in (LAST_LAYER, EVERY_DEPTH)
    }
    return measure_in_turn(sides, options.repetitions)


def run_twice(overrides: list[str]) -> tuple[float, float]:
    """Return the seconds of a command with an empty cache, and of the same command afterwards."""
    with workspace(outputs_directory() / "bench") as work:
        return run(overrides, work).seconds, run(overrides, work).seconds


if __name__ == "__main__":
    sys.exit(main())
