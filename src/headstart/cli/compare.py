"""Compare runs in one table and one HTML page: `headstart compare` compares the newest sweep.

`headstart compare --format latex` prints a table for a paper instead.
"""

from __future__ import annotations

import shlex
import tempfile
from datetime import datetime
from pathlib import Path

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.comparison import Comparison, analyse, compare
from headstart.comparison.page.header import predict_command
from headstart.comparison.paper import FORMATS, paper_text
from headstart.comparison.select import newest_sweep, select_experiment, select_runs
from headstart.core.console import console, count_of, print_next
from headstart.core.errors import HeadstartError, expect_writable
from headstart.core.files import write_text
from headstart.core.paths import outputs_directory
from headstart.tracking import expect_address


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, compare the runs it names, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        if options.runs and options.experiment:
            raise HeadstartError("Pass runs or --experiment, not both")
        if options.tracking_uri:
            expect_address(options.tracking_uri, "--tracking-uri")
        with tempfile.TemporaryDirectory() as fetched:
            if options.experiment:
                runs = select_experiment(options.experiment, options.tracking_uri, Path(fetched))
                title, place = f"Experiment {options.experiment}", None
            else:
                names = options.runs or [str(newest_sweep())]
                runs, place = select_runs(names, options.tracking_uri, Path(fetched))
                title = f"Sweep {place.name}" if place else count_of(len(runs), "run")
            if options.format:
                write_or_print(paper_text(analyse(runs), options.format), options.output)
                return 0
            stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
            output = options.output or (place / "comparison" if place else outputs_directory() / "comparisons" / stamp)
            found = compare(runs, output, title)
            found.print(console)
            words = ["--experiment", options.experiment] if options.experiment else options.runs
            print_next(next_commands(found, words))
    except HeadstartError as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart compare", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="*",
        help="a sweep, or several runs: directories, MLflow run ids, latest or best (default: the newest sweep)",
    )
    parser.add_argument("--experiment", metavar="NAME", help="compare all runs of an MLflow experiment")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="tracking store of the runs (default: mlflow.db in the outputs directory)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="directory of the page (default: SWEEP/comparison, else outputs/comparisons/DATE_TIME); "
        "with --format the file of the table (default: standard output)",
    )
    parser.add_argument("--format", choices=FORMATS, help="print the table for a paper, and write no page")
    return parser


def next_commands(found: Comparison, words: list[str]) -> dict[str, str]:
    """Return the commands that a person may want after a comparison, with their purpose.

    Args:
        found: the comparison.
        words: of the command line, which say what is compared.
    """
    commands = {}
    if found.strategies and (command := predict_command(found.strategies[0])):
        commands[command] = "label your images with the best run"
    commands[shlex.join(["headstart", "compare", *words, "--format", "latex"])] = "the table for a paper"
    return {**commands, "headstart ui": "browse the runs in MLflow"}


def write_or_print(text: str, file: Path | None) -> None:
    """Write a table to a file, or print it as it is.

    Args:
        text: with a line break at its end.
        file: in an existing directory; None prints.

    Raises:
        HeadstartError: when the file cannot be written.
    """
    if file is None:
        console.file.write(text)
        return
    with expect_writable(file):
        write_text(file, text)
