"""Export a classifier to another runtime: `headstart export latest --format onnx`."""

from __future__ import annotations

from pathlib import Path

from headstart.classifier.export import FORMATS, check_export_directory, check_format, export_classifier
from headstart.classifier.saved import TOLERANCE, load_classifier
from headstart.cli.errors import report_error
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.core.console import console, print_next
from headstart.core.errors import HeadstartError
from headstart.results.runs import find_run


def main(arguments: list[str] | None = None) -> int:
    """Export a classifier, print how much its predictions differ, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        check_format(options.format)
        directory = find_run(options.run)
        place = (options.into or directory / f"classifier_{options.format}").absolute()
        check_export_directory(place)
        exported = export_classifier(load_classifier(directory), options.format, place)
    except HeadstartError as error:
        return report_error(error)
    console.print(
        f"{exported.file}\n"
        f"  checked on {exported.pictures} reference images: probabilities differ by at most {exported.difference:.2g} "
        f"(tolerance {TOLERANCE:g}; between the images they differ by {exported.spread:.2g})",
        markup=False,
    )
    print_next({f"headstart serve {options.run}": "serve the classifier itself over HTTP"})
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart export", description=__doc__)
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--format", choices=FORMATS, required=True, help="export format")
    parser.add_argument("--into", type=Path, metavar="DIR", help="where to write (default: RUN/classifier_FORMAT)")
    return parser
