"""Write the figures of a run of `make demo` into the README: `python scripts/docs/update_readme.py latest`."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.markdown_page import replace_block
from headstart.core.program import exit_with
from headstart.results.file import read_results
from headstart.results.runs import find_run

ROOT = Path(__file__).absolute().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Replace the block between the two demo comments, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the run's directory, its MLflow run id, latest or best")
    try:
        directory = find_run(parser.parse_args(arguments).run)
        if not (directory / "results.json").is_file():
            raise HeadstartError(f"Expected a finished run. Received: {directory}, which has no results.json")
        replace_block(ROOT / "README.md", "demo", demo_block(directory))
    except HeadstartError as error:
        print_error(error)
        return 1
    return 0


def demo_block(directory: Path) -> str:
    """Return what the README says about a run.

    Args:
        directory: of a finished run with two stages or more.
    """
    results = read_results(directory)
    if results is None or not (results.seconds and results.environment and results.validation and results.splits):
        raise HeadstartError(f"Expected a finished run that was evaluated. Received: {directory}")
    environment = results.environment
    with (directory / "history.csv").open(encoding="utf-8", newline="") as file:
        epochs = list(csv.DictReader(file))
    first = epochs[0]["stage"]
    head = max(float(epoch["validation_accuracy"]) for epoch in epochs if epoch["stage"] == first)
    lines = [
        "<!-- demo: written by scripts/docs/update_readme.py -->",
        f"`make demo` ends like this, {results.seconds.total:.0f} seconds after the installation on "
        f"{environment.processors} cores without a GPU (Python {environment.python}, "
        f"TensorFlow {environment.packages['tensorflow']}):",
        "",
        "| | images | accuracy | 95 % interval | macro F1 |",
        "| --- | ---: | ---: | --- | ---: |",
        f"| validation, after the stage `{first}` | {results.validation.images} | {head:.4f} | | |",
    ]
    for name, split in results.splits.items():
        interval = f"{split.accuracy_low:.3f} to {split.accuracy_high:.3f}"
        lines.append(
            f"| {name}, the saved classifier | {split.images} | {split.accuracy:.4f} | {interval} | "
            f"{split.macro_f1:.4f} |"
        )
    return "\n".join([*lines, "<!-- /demo -->"])


if __name__ == "__main__":
    exit_with(main, ROOT)
