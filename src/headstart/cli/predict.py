"""Label images with a saved classifier: `headstart predict latest photo.jpg folder/`.

Or with a pretrained ImageNet network: `headstart predict --pretrained efficientnet_lite0 photo.jpg folder/`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.classifier.pretrained import pretrained_classifier
from headstart.classifier.saved import Classifier, load_classifier
from headstart.cli.errors import report_error
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.cli.predict_output import FORMATS, Labels, output_row, print_or_write
from headstart.cli.predict_threshold import find_threshold, threshold_option
from headstart.core.console import console, print_next, print_to_stderr, track
from headstart.core.errors import HeadstartError, expect_writable, printable
from headstart.core.paths import tip_for_missing
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.links import expect_links_inside
from headstart.data.files.value_range import value_range_warnings
from headstart.data.files.walk import files_below, is_image
from headstart.inference.backend import BACKENDS
from headstart.results.runs import find_run


def main(arguments: list[str] | None = None) -> int:
    """Label the images, print or write the labels, and return the exit code: 1 if any file could not be read."""
    options = parse(arguments)
    try:
        directory = find_run(options.run) if options.run else None
        litter = IgnoredFiles()
        files = list(find_images(options.images, options.follow_links, litter))
        for note in litter.notes():
            print_note(note)
        for place in (options.overlay, options.explain, options.output and options.output.parent):
            make_directory(place)
        classifier = find_classifier(directory, options)
        if options.value_range:
            classifier = replace(classifier, value_range=tuple(options.value_range))
        threshold, meaning = find_threshold(classifier, options.threshold)
        if meaning:
            print_note(meaning)
        for note in value_range_warnings(files, classifier.value_range):
            print_note(note)
        results = track(classifier.examine_files(files, options.batch_size), len(files), "labelling")
        rows = [output_row(file, result, classifier.class_names, options.top, threshold) for file, result in results]
        labels = Labels(rows, min(options.top, len(classifier.class_names)), classifier)
        print_or_write(labels, options.format, options.output)
        if console.is_terminal and options.run:  # not into what another program may read
            print_next(next_commands(options))
        failed = write_pictures(classifier, rows, options, threshold) if options.overlay or options.explain else 0
    except HeadstartError as error:
        return report_error(error)
    return 1 if failed or any("error" in row for row in rows) else 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("images", nargs="*", type=Path, help="image files, or folders to search for images")
    parser.add_argument(
        "--pretrained", metavar="BACKBONE", help="use this pretrained ImageNet network instead of a run"
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="weights for --pretrained, including its top (default: ImageNet's)"
    )
    parser.add_argument("--top", type=int, metavar="K", help="labels per image (default: 3; 5 with --pretrained)")
    parser.add_argument("--format", choices=FORMATS, help="output format (default: by the suffix of FILE, else table)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the labels to FILE, not to the terminal")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write the images with label and confidence to DIR")
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="DIR",
        help="write Grad-CAM heat maps to DIR: regions that support the prediction",
    )
    parser.add_argument(
        "--threshold",
        type=threshold_option,
        metavar="T",
        help="two classes: label an image with the second one if its probability is above T, a number over 0 and below "
        "1, or `advised` for the one chosen on the validation images (default: the likelier class, as with 0.5)",
    )
    parser.add_argument("--follow-links", action="store_true", help="follow links that lead out of a folder")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="images per batch (default: 32)")
    parser.add_argument(
        "--value-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values of black and white in images with more than 8 bits (default: the classifier's, else 0 65535)",
    )
    parser.add_argument(
        *("--inference-backend", "--engine"),  # --engine: the name in earlier versions
        dest="inference_backend",
        choices=BACKENDS,
        default="auto",
        help="runs the network (default: auto)",
    )
    return parser


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = build_parser()
    options = parser.parse_intermixed_args(arguments)
    if options.pretrained:
        options.run, options.images = None, [Path(options.run), *options.images]
    elif options.weights:
        parser.error("--weights needs --pretrained")
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
    """Return the classifier in a run's directory, or with `--pretrained` an ImageNet network."""
    if directory is None:
        return pretrained_classifier(options.pretrained, options.weights, options.inference_backend)
    return load_classifier(directory, options.inference_backend)


def next_commands(options: argparse.Namespace) -> dict[str, str]:
    """Return the commands that a person may want after the labels of a run, with their purpose.

    Args:
        options: of the command line.
    """
    commands = {f"headstart demo {shlex.quote(options.run)}": "try it on a web page"}
    if not options.explain:
        places = shlex.join([options.run, *map(str, options.images[:1])])
        commands = {f"headstart predict {places} --explain DIR": "see which regions decide", **commands}
    return commands


def find_images(given: list[Path], follow_links: bool = False, litter: IgnoredFiles | None = None) -> Iterator[Path]:
    """Yield the given files, and the images in the given folders.

    Args:
        given: files and folders.
        follow_links: whether to follow links that lead out of a folder; given paths may be links in any case.
        litter: counts the ignored files in the folders.

    Raises:
        HeadstartError: when a path does not exist, a link leads out of a folder, or a folder holds no image.
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
                    f"Expected images ({', '.join(sorted(IMAGE_EXTENSIONS))}) below {path}. Received: none. {others}"
                )
            if others:
                print_note(others)
            yield from below
        elif path.exists():
            yield path
        else:
            raise HeadstartError(
                f"Expected an image or a folder. Received: {path} (does not exist)", tip_for_missing(path)
            )


def print_note(note: str) -> None:
    """Print a note to stderr, beside the labels on stdout."""
    print_to_stderr(f"  Note: {printable(note)}")


def make_directory(directory: Path | None) -> None:
    """Create an output directory; do nothing for None.

    Raises:
        HeadstartError: when it cannot be made.
    """
    if directory is None:
        return
    with expect_writable(directory, "directory"):
        directory.mkdir(parents=True, exist_ok=True)


def write_pictures(
    classifier: Classifier, rows: list[dict[str, Any]], options: argparse.Namespace, threshold: float | None
) -> int:
    """Write the images of `--overlay` and `--explain`, and return how many could not be written."""
    from headstart.cli.predict_pictures import draw_all, explain_all  # imports Matplotlib, which is slow

    failed = draw_all(classifier, rows, options.overlay) if options.overlay else 0
    if options.explain:
        failed += explain_all(classifier, rows, options.explain, options.batch_size, threshold)
    return failed
