"""What is doubtful about a data set, before anything is trained on it: `python scripts/audit.py FOLDER`.

Near-duplicates, images that look mislabelled, blurred, dark, blank or odd-sized ones, and classes that size, border or
file alone tell apart: a page with the pictures, and a table that `dataset.exclude` reads.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time
from pathlib import Path

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))
os.environ.setdefault("HEADSTART_DATA", str(Path(__file__).absolute().parents[1] / "data"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from rich.table import Table

from headstart.audit.auditing import PAGE, TABLE, Audit, audit_images
from headstart.audit.features import BACKBONE
from headstart.audit.findings import KINDS
from headstart.config import Config, compose
from headstart.core.console import console, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.program import exit_with
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size
from headstart.run.display import print_data
from recommend import overrides_of

MOST = 50  # findings of each kind that are shown with their pictures


def main(arguments: list[str] | None = None) -> int:
    """Audit, print and return the exit code: 1 for anything that the user can mend."""
    options = parse(arguments)
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


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FOLDER | key=value",
        help="the images, as for run.py: a folder, or dataset=digits; other values too, such as image_size=128",
    )
    parser.add_argument("--quick", action="store_true", help="without a network: nothing is said of wrong labels")
    parser.add_argument(
        "--output", type=Path, metavar="DIRECTORY", help=f"of {PAGE}, {TABLE} and audit.json (outputs/audit_NAME)"
    )
    return parser.parse_intermixed_args(arguments)


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

    name = Path(config.dataset.root).name if config.dataset.root else config.dataset.name
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
            f"    {shlex.join(['python', 'run.py', *rest])}",
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


if __name__ == "__main__":
    exit_with(main)
