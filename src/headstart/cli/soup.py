"""Average the weights of several runs into one classifier: `headstart soup` takes the newest sweep.

A greedy soup: starts with the run that is most accurate on validation, and adds the weights of each other run to the
average if validation accuracy does not fall. A prediction costs the same as one run's.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import datetime
from pathlib import Path

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.comparison.select import newest_sweep, select_runs
from headstart.core.console import print_next, short_path
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, make the soup, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as fetched:
            runs, place = select_runs(options.runs or [str(newest_sweep())], None, Path(fetched))
            stamp = f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
            output = options.output or (place / "soup" if place else outputs_directory() / "soups" / stamp)
            from headstart.soup.make import make_soup

            make_soup(runs, output)
            print_next(
                {
                    f"headstart predict {short_path(output)} IMAGE_OR_FOLDER": "label your images with it",
                    f"headstart demo {short_path(output)}": "try it on a web page",
                }
            )
    except HeadstartError as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart soup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", nargs="*", help="a sweep, or several runs: directories or MLflow run ids (default: the newest sweep)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where to write (default: SWEEP/soup, else outputs/soups/DATE_TIME)",
    )
    return parser
