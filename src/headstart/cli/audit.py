"""Find problems in a data set before you train on it: `headstart audit FOLDER`.

Finds near-duplicates; images that look mislabelled, or are blurred, dark, blank or of unusual size; and classes that a
model could tell apart by image size, border or file format alone. Writes a page that shows the images, and a CSV file
that `dataset.exclude` reads.
"""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from headstart.audit.auditing import PAGE, TABLE, Audit, audit_images
from headstart.audit.features import BACKBONE
from headstart.audit.findings import KINDS
from headstart.cli.data_arguments import add_data_arguments, dataset_name, overrides_of
from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.config import Config, compose
from headstart.core.console import console, new_table, print_next, print_titled, short_path
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size
from headstart.run.display import print_data

MOST = 50  # findings of each kind that the page shows


def main(arguments: list[str] | None = None) -> int:
    """Run the audit and return the exit code: 1 after an error that the user can fix."""
    options = build_parser().parse_intermixed_args(arguments)
    try:
        overrides = overrides_of(options.words)
        audit(compose(overrides), overrides, "quick" if options.quick else "full", options.output)
    except (HeadstartError, OSError) as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="run no network: does not look for mislabelled images")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help=f"where to write {PAGE}, {TABLE} and audit.json (default: outputs/audit_NAME)",
    )
    return parser


def audit(config: Config, overrides: list[str], level: str, output: Path | None) -> None:
    """Audit every image; print and write the findings.

    Args:
        config: configuration of the data set.
        overrides: overrides that `config` was composed with.
        level: `quick` or `full`.
        output: directory to write to; None: `audit_NAME` in the outputs directory.
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
    console.print(f"\n  {time.perf_counter() - started:.1f} s in all: {parts}", markup=False)
    console.print(f"  {short_path(directory / PAGE)}", markup=False)
    if not found.findings:
        print_next({shlex.join(["headstart", "train", *overrides]): "train on these images"})
    else:
        rest = [*overrides, f"dataset.exclude={directory / TABLE}"]
        purpose = f"look at the page, delete the rows of images to keep from {TABLE}, then train without the others"
        print_next({shlex.join(["headstart", "train", *rest]): purpose})


def print_findings(found: Audit) -> None:
    """Print the number of findings of each kind, and warnings about the data set as a whole."""
    table = new_table("finding", "images")
    for kind, count in found.counts().items():
        table.add_row(KINDS[kind].title, f"{count:,}")
    print_titled(f"Findings among {len(found.index):,} images", table)
    for warning in found.warnings():
        console.print(f"  Warning: {warning}", markup=False)
