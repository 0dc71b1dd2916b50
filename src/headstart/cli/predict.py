"""Label images with a saved classifier: `headstart predict latest photo.jpg folder/`.

With a pretrained network as it is: `headstart predict --pretrained efficientnet_lite0 photo.jpg folder/`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.classifier.pretrained import pretrained_classifier
from headstart.classifier.saved import Classifier, load_classifier
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.cli.predict_output import FORMATS, answer, show
from headstart.core.console import print_to_stderr, track
from headstart.core.errors import HeadstartError, printable
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.links import expect_links_inside
from headstart.data.files.value_range import value_range_warnings
from headstart.data.files.walk import files_below, is_image
from headstart.inference.backend import ENGINES
from headstart.results.runs import find_run


def main(arguments: list[str] | None = None) -> int:
    """Predict, print or write the labels, and return the exit code: 1 when any file could not be read."""
    options = parse(arguments)
    try:
        directory = find_run(options.run) if options.run else None
        litter = IgnoredFiles()
        files = list(find_images(options.images, options.follow_links, litter))
        for note in litter.notes():
            say(note)
        for place in (options.overlay, options.explain, options.output and options.output.parent):
            make_directory(place)
        classifier = find_classifier(directory, options)
        if options.value_range:
            classifier = replace(classifier, value_range=tuple(options.value_range))
        for note in value_range_warnings(files, classifier.value_range):
            say(note)
        results = track(classifier.predict(files, options.batch_size), len(files), "labelling")
        rows = [answer(file, result, classifier.class_names, options.top) for file, result in results]
        show(rows, options.format, options.output, min(options.top, len(classifier.class_names)))
        failed = write_pictures(classifier, rows, options) if options.overlay or options.explain else 0
    except HeadstartError as error:
        print_to_stderr(f"Error: {error}")
        return 1
    return 1 if failed or any("error" in row for row in rows) else 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("images", nargs="*", type=Path, help="picture files, or folders which are searched for them")
    parser.add_argument(
        "--pretrained", metavar="BACKBONE", help="instead of a run: this network as it is, with ImageNet's labels"
    )
    parser.add_argument("--weights", metavar="FILE", help="of --pretrained, with its classifier (those of ImageNet)")
    parser.add_argument("--top", type=int, metavar="K", help="labels for each picture (3; 5 with --pretrained)")
    parser.add_argument("--format", choices=FORMATS, help="how to answer (what FILE ends in, else table)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the answer there instead of the terminal")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write the pictures with label and confidence")
    parser.add_argument("--explain", type=Path, metavar="DIR", help="write the pictures with what spoke for the label")
    parser.add_argument("--follow-links", action="store_true", help="also those that lead out of a folder")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="pictures at once (32)")
    parser.add_argument(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values that are black and white in pictures of more than 8 bits (the classifier's own, else 0 65535)",
    )
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what runs the network (auto)")
    return parser


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    if options.pretrained:
        options.run, options.images = None, [Path(options.run), *options.images]
    elif options.weights:
        parser.error("--weights is of --pretrained")
    if not options.images:
        parser.error("the following arguments are required: images")
    if options.top is None:
        options.top = 5 if options.pretrained else 3
    if options.format is None:
        ending = options.output.suffix.lower().removeprefix(".") if options.output else ""
        options.format = ending if ending in FORMATS else "table"
    if options.value_range and not options.value_range[0] < options.value_range[1]:
        parser.error("--value-range must be two numbers, the second above the first")
    for name in ("top", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options


def find_classifier(directory: Path | None, options: argparse.Namespace) -> Classifier:
    """Return the classifier of a run's directory, or the pretrained network that was asked for in its place."""
    if directory is None:
        return pretrained_classifier(options.pretrained, options.weights, options.engine)
    return load_classifier(directory, options.engine)


def find_images(given: list[Path], follow_links: bool = False, litter: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield the files that were named, and the pictures below the folders that were named.

    Args:
        given: files and folders.
        follow_links: whether links may lead out of a folder; one that is named may itself be a link.
        litter: counts what is left out of the folders.

    Raises:
        HeadstartError: when a path does not exist, a link leads out of a folder, or a folder holds no picture.
    """
    for path in given:
        if path.is_dir():
            if not follow_links:
                expect_links_inside(path, "--follow-links")
            found = set(files_below(path, litter))
            below = sorted(file for file in found if is_image(file.name))
            others = describe_unsupported(count_suffixes(found.difference(below)))
            if not below:
                raise HeadstartError(
                    f"Expected pictures ({', '.join(sorted(IMAGE_EXTENSIONS))}) below {path}. Received: none. {others}"
                )
            if others:
                say(others)
            yield from below
        elif path.exists():
            yield path
        else:
            raise HeadstartError(f"Expected a picture or a folder. Received: {path}, which does not exist")


def say(note: str) -> None:
    """Print a note beside the answer."""
    print_to_stderr(f"  Note: {printable(note)}")


def make_directory(directory: Path | None) -> None:
    """Make a directory for what will be written.

    Raises:
        HeadstartError: when it cannot be made.
    """
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadstartError(
            f"Expected a directory that can be written. Received: {directory} ({error.strerror})"
        ) from error


def write_pictures(classifier: Classifier, rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    """Write what `--overlay` and `--explain` ask for, and return how many pictures could not be written."""
    from headstart.cli.predict_pictures import draw_all, explain_all  # Matplotlib, which nothing else here needs

    failed = draw_all(classifier, rows, options.overlay) if options.overlay else 0
    if options.explain:
        failed += explain_all(classifier, rows, options.explain, options.batch_size)
    return failed
