"""Compare runs in one table and one HTML page: `headstart compare` compares the newest sweep.

`headstart compare --format latex` prints a table for a paper instead.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.comparison import analyse, compare
from headstart.comparison.paper import FORMATS, paper_text
from headstart.comparison.select import newest_sweep, select_experiment, select_runs
from headstart.core.console import console
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
                title = f"Sweep {place.name}" if place else f"{len(runs)} runs"
            if options.format:
                write_or_print(paper_text(analyse(runs), options.format), options.output)
                return 0
            stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
            output = options.output or (place / "comparison" if place else outputs_directory() / "comparisons" / stamp)
            compare(runs, output, title).print(console)
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
