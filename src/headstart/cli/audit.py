"""What is doubtful about a data set, before anything is trained on it: `headstart audit FOLDER`.

Near-duplicates, images that look mislabelled, blurred, dark, blank or odd-sized ones, and classes that size, border or
file alone tell apart: a page with the pictures, and a table that `dataset.exclude` reads.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from rich.table import Table

from headstart.audit.auditing import PAGE, TABLE, Audit, audit_images
from headstart.audit.features import BACKBONE
from headstart.audit.findings import KINDS
from headstart.cli.data_arguments import dataset_name, overrides_of
from headstart.cli.parser import CommandParser
from headstart.config import Config, compose
from headstart.core.console import console, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size
from headstart.run.display import print_data

MOST = 50  # findings of each kind that are shown with their pictures


def main(arguments: list[str] | None = None) -> int:
    """Audit, print and return the exit code: 1 for anything that the user can mend."""
    options = build_parser().parse_intermixed_args(arguments)
    try:
        overrides = overrides_of(options.words)
        audit(compose(overrides), overrides, "quick" if options.quick else "full", options.output)
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    except OSError as error:
        console.print(f"Error: {error.strerror}: {error.filename}", markup=False, soft_wrap=True)
        return 1
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FOLDER | key=value",
        help="a folder of images, or the configuration as for `headstart train`: dataset=digits image_size=128",
    )
    parser.add_argument("--quick", action="store_true", help="without a network: nothing is said of wrong labels")
    parser.add_argument(
        "--output", type=Path, metavar="DIRECTORY", help=f"of {PAGE}, {TABLE} and audit.json (outputs/audit_NAME)"
    )
    return parser


def audit(config: Config, overrides: list[str], level: str, output: Path | None) -> None:
    """Look at every image, print what was found and write it.

    Args:
        config: of the data.
        overrides: what it was composed with.
        level: `quick` or `full`.
        output: the directory that is written to; None has a name among the outputs.
    """
    started = time.perf_counter()
    image_size = choose_image_size(config, get_entry(BACKBONE.name))
    index, report = check_images(
        load_index(config.dataset, cache_directory()), "skip", cache_directory(), config.dataset.value_range
    )
    print_data(index, report.warnings())
    if level == "full" and len(index.class_names) > 1:
        import_tensorflow()
        from headstart.training.hardware import prepare_devices, seed_everything

        prepare_devices()
        seed_everything(config.seed, config.deterministic, "float32")
    found = audit_images(config, index, level, image_size)

    name = dataset_name(config)
    directory = output or outputs_directory() / f"audit_{file_name(name)}"
    found.write(directory, name, MOST)
    write_json(directory / "audit.json", {"data_report": report.to_dict(), **found.to_dict()})
    print_findings(found)
    parts = ", ".join(f"{seconds:.1f} s {part.replace('_', ' ')}" for part, seconds in found.seconds.items())
    console.print(f"\n  {time.perf_counter() - started:.1f} s in all: {parts}", markup=False, soft_wrap=True)
    console.print(f"  {directory / PAGE}", markup=False, soft_wrap=True)
    if found.findings:
        rest = [*overrides, f"dataset.exclude={directory / TABLE}"]
        console.print("\n[bold]Next[/]")
        console.print(
            f"  look at the page, delete the rows of {TABLE} that you want to keep, then train without the others:\n"
            f"    {shlex.join(['headstart', 'train', *rest])}",
            markup=False,
            soft_wrap=True,
        )


def print_findings(found: Audit) -> None:
    """Print how many findings there are of each kind, and what to know before believing a result."""
    table = Table()
    table.add_column("finding")
    table.add_column("images", justify="right")
    for kind, count in found.counts().items():
        table.add_row(KINDS[kind].title, f"{count:,}")
    print_titled(f"Findings among {len(found.index):,} images", table)
    for warning in found.warnings():
        console.print(f"  Warning: {warning}", markup=False, soft_wrap=True)
