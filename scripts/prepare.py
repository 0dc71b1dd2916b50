"""Bring images into folders that every tool reads: `python scripts/prepare.py split PHOTOS SPLIT --classes cat,dog`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections import Counter
from pathlib import Path

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))
os.environ.setdefault("HEADSTART_DATA", str(Path(__file__).absolute().parents[1] / "data"))

from headstart.config import SplitConfig, compose
from headstart.config.checks import check_values
from headstart.core.console import console, track
from headstart.core.errors import HeadstartError
from headstart.core.program import exit_with
from headstart.data.classes import choose_classes
from headstart.data.files.links import WAY_OUT, expect_links_inside
from headstart.data.index import ImageIndex
from headstart.data.sources.extracted import write_once
from headstart.data.sources.flat import list_flat
from headstart.data.sources.folder import list_folder
from headstart.data.sources.split_folders import AUTO, NONE
from headstart.data.splits import build_index
from headstart.run.display import print_data

SYMBOLIC = "symbolic links to the source, which has to stay where it is"


def main(arguments: list[str] | None = None) -> int:
    """Write the folders and return the exit code: 1 for anything that the user can mend."""
    options = parse(arguments)
    try:
        source, destination = expect_places(options.source, options.destination)
        if not options.follow_links:
            expect_links_inside(source, "--follow-links")
        index, places = options.layout(source, options)
        how = write_folders(index, places, destination, options.copy)
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    print_data(index, list(index.notes))
    console.print(f"  {destination}: {how}", markup=False, soft_wrap=True)
    command = f"python run.py dataset=folder dataset.root={shlex.quote(str(destination))}"
    if SYMBOLIC in how:
        command += f" {WAY_OUT}"
    console.print(f"\n[bold]Next[/]\n  train on them:\n    {command}", soft_wrap=True)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("source", type=Path, metavar="SOURCE", help="the directory of the images; stays as it is")
    common.add_argument("destination", type=Path, metavar="DESTINATION", help="the new directory")
    common.add_argument("--follow-links", action="store_true", help="also those that lead out of SOURCE")
    common.add_argument("--copy", action="store_true", help="copy the files instead of linking them")

    food11 = commands.add_parser(
        "food11", parents=[common], help="Food-11 as it is published (training/0_12.jpg) into a folder for each class"
    )
    food11.set_defaults(layout=lay_out_food11)

    default = SplitConfig()
    split = commands.add_parser(
        "split",
        parents=[common],
        help="a directory for each class into train, valid and test, the split that run.py makes itself",
    )
    split.add_argument(
        "--validation", type=float, default=default.validation, metavar="F", help="fraction of all images (0.2)"
    )
    split.add_argument(
        "--test", type=float, default=default.test, metavar="F", help="fraction of all images, 0 for none (0.2)"
    )
    split.add_argument("--seed", type=int, default=default.seed, metavar="N", help="another seed, another split (0)")
    split.add_argument("--classes", metavar="A,B", help="the only classes to take, with commas between them")
    split.add_argument("--no-splits", action="store_true", help="every folder in SOURCE is a class, whatever its name")
    split.set_defaults(layout=lay_out_split)
    return parser.parse_args(arguments)


def expect_places(source: Path, destination: Path) -> tuple[Path, Path]:
    """Return both directories as absolute paths.

    Raises:
        HeadstartError: when the source is no directory, or the destination is there already or lies within the source.
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
    """Return the images of Food-11, and the new path of each: training/Bread/0_12.jpg."""
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
    """Return the images of a directory of classes with their new splits, and the new path of each: train/cat/1.jpg."""
    split = SplitConfig(options.validation, options.test, options.seed)
    check_values(split, "--")
    listing = list_folder(source, NONE if options.no_splits else AUTO, "--no-splits")
    if any(row.split for row in listing.rows):
        raise HeadstartError(
            f"Expected a folder for each class in {source}. Received: split folders; --no-splits if they are classes"
        )
    classes = [name.strip() for name in options.classes.split(",")] if options.classes is not None else None
    index = build_index(choose_classes(listing, classes), split)
    index.expect_every_class()
    folders = {"train": "train", "validation": "valid", "test": "test"}
    return index, [f"{folders[split]}/{path}" for split, path in zip(index.splits, index.paths, strict=True)]


def write_folders(index: ImageIndex, places: list[str], destination: Path, copy: bool) -> str:
    """Write every image to its place, all of them or none, and return how many were linked or copied.

    Args:
        index: the images.
        places: new path of each image, relative to the destination.
        destination: the new directory.
        copy: whether to copy. Else each file gets a second name on the same disk (a hard link), which needs no space
            and stays when the first one is removed; where the file system has none, a symbolic link.

    Raises:
        HeadstartError: when a file cannot be written.
    """
    how: Counter[str] = Counter()

    def write(directory: Path) -> None:
        for position, place in enumerate(track(places, len(places), "Writing the folders")):
            file = directory / place
            file.parent.mkdir(parents=True, exist_ok=True)
            how[put(index.file(position).resolve(), file, copy)] += 1

    try:
        write_once(destination, write)
    except OSError as error:
        raise HeadstartError(
            f"Expected DESTINATION to be a directory that can be written. Received: {destination} "
            f"({error.strerror or error})"
        ) from error
    return ", ".join(f"{count:,} {what}" for what, count in how.items())


def put(source: Path, file: Path, copy: bool) -> str:
    """Copy or link one file, and return what was done."""
    if copy:
        shutil.copy2(source, file)
        return "files copied"
    try:
        os.link(source, file)
        return "files linked"
    except OSError:  # another disk, a file system without hard links, somebody else's file
        file.symlink_to(source)
        return SYMBOLIC


if __name__ == "__main__":
    exit_with(main)
