"""Arrange images in one folder per split and class: `headstart prepare split PHOTOS SPLIT --classes cat,dog`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.config import SplitConfig, compose
from headstart.config.checks import check_values
from headstart.core.console import console, print_next
from headstart.core.errors import HeadstartError
from headstart.data.classes import choose_classes
from headstart.data.files.links import WAY_OUT, expect_links_inside
from headstart.data.index import ImageIndex
from headstart.data.sources.flat import list_flat
from headstart.data.sources.folder import list_folder
from headstart.data.sources.split_folders import AUTO, NONE
from headstart.data.splits import build_index
from headstart.data.write_folders import SYMBOLIC, write_folders
from headstart.run.display import print_data


def main(arguments: list[str] | None = None) -> int:
    """Write the folders and return the exit code: 1 after an error that the user can fix."""
    options = build_parser().parse_args(arguments)
    try:
        source, destination = expect_places(options.source, options.destination)
        if not options.follow_links:
            expect_links_inside(source, "--follow-links")
        index, places = options.layout(source, options)
        how = write_folders(index, places, destination, options.copy)
    except HeadstartError as error:
        return report_error(error)
    print_data(index, list(index.notes))
    console.print(f"  {destination}: {how}", markup=False)
    command = f"headstart train dataset=folder dataset.root={shlex.quote(str(destination))}"
    if SYMBOLIC in how:
        command += f" {WAY_OUT}"
    print_next({command: "train on them"})
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart prepare", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = CommandParser(add_help=False)
    common.add_argument("source", type=Path, metavar="SOURCE", help="directory of the images; stays unchanged")
    common.add_argument("destination", type=Path, metavar="DESTINATION", help="new directory")
    common.add_argument("--follow-links", action="store_true", help="follow links that lead out of SOURCE")
    common.add_argument("--copy", action="store_true", help="copy the files instead of linking them")

    food11 = commands.add_parser(
        "food11", parents=[common], help="sort Food-11 (published as training/0_12.jpg) into one folder per class"
    )
    food11.set_defaults(layout=lay_out_food11)

    default = SplitConfig()
    split = commands.add_parser(
        "split",
        parents=[common],
        help="split a folder per class into train, valid and test, like `headstart train` does",
    )
    split.add_argument(
        "--validation",
        type=float,
        default=default.validation,
        metavar="F",
        help="fraction for validation (default: 0.2)",
    )
    split.add_argument(
        "--test",
        type=float,
        default=default.test,
        metavar="F",
        help="fraction for the test; 0: no test split (default: 0.2)",
    )
    split.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="random seed of the split (default: 0)"
    )
    split.add_argument("--classes", metavar="A,B", help="classes to keep, separated by commas")
    split.add_argument(
        "--no-splits", action="store_true", help="treat every folder in SOURCE as a class, even train or test"
    )
    split.set_defaults(layout=lay_out_split)
    return parser


def expect_places(source: Path, destination: Path) -> tuple[Path, Path]:
    """Return both directories as absolute paths.

    Raises:
        HeadstartError: when the source is not a directory, or the destination exists or lies inside the source.
    """
    source, destination = (path.expanduser().absolute() for path in (source, destination))
    if not source.is_dir():
        raise HeadstartError(f"Expected SOURCE to be the directory of the images. Received: {source}")
    if destination.exists() or destination.is_symlink():
        raise HeadstartError(f"Expected DESTINATION to be a new directory. Received: {destination}, which exists")
    if destination.resolve().is_relative_to(source.resolve()):
        raise HeadstartError(f"Expected DESTINATION to lie outside {source}. Received: {destination}")
    return source, destination


def lay_out_food11(source: Path, options: argparse.Namespace) -> tuple[ImageIndex, list[str]]:
    """Return the images of Food-11 and their new paths, such as training/Bread/0_12.jpg."""
    listing = list_flat(source, compose(["dataset=food11"]).dataset.label_names)
    if any(row.split is None for row in listing.rows):
        raise HeadstartError(f"Expected the folders training, validation and evaluation in {source}. Received: none")
    index = build_index(listing, SplitConfig())
    places = []
    for path, label in zip(index.paths, index.labels, strict=True):
        folder, _, file = path.partition("/")
        places.append(f"{folder}/{index.class_names[label]}/{file}")
    return index, places


def lay_out_split(source: Path, options: argparse.Namespace) -> tuple[ImageIndex, list[str]]:
    """Return the images of a folder per class with their new splits, and their new paths, such as train/cat/1.jpg."""
    split = SplitConfig(options.validation, options.test, options.seed)
    check_values(split, "--")
    listing = list_folder(source, NONE if options.no_splits else AUTO, "--no-splits")
    if any(row.split for row in listing.rows):
        raise HeadstartError(
            f"Expected a folder per class in {source}. Received: split folders", "if they are classes, pass --no-splits"
        )
    classes = [name.strip() for name in options.classes.split(",")] if options.classes is not None else None
    index = build_index(choose_classes(listing, classes), split)
    index.expect_every_class()
    folders = {"train": "train", "validation": "valid", "test": "test"}
    return index, [f"{folders[split]}/{path}" for split, path in zip(index.splits, index.paths, strict=True)]
