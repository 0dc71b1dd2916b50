"""Write the features of a run's images, or a map of them: `headstart features latest --map map.html`.

The features are what the head of the saved classifier reads of each image: its last feature map, averaged over the
positions. What the run has cached of frozen layers is not computed again.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.cli.errors import report_error
from headstart.cli.parser import RUN_HELP, CommandParser
from headstart.core.console import console, count_of, print_next
from headstart.core.errors import HeadstartError, expect_writable
from headstart.core.files import write_text
from headstart.results.runs import find_run, name_of_run

if TYPE_CHECKING:
    from headstart.config import Config
    from headstart.data.index import ImageIndex
    from headstart.evaluation.features import FeatureSource

METHODS = ("pca", "tsne")


def main(arguments: list[str] | None = None) -> int:
    """Write the features and the map, and return the exit code: 1 after an error that the user can fix."""
    options = parse(arguments)
    try:
        _write(options, find_run(options.run))
    except (HeadstartError, OSError) as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart features", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.npz",
        help="write features, labels, predicted, paths, splits and class_names for numpy.load",
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="FILE.html",
        help="write a map of the images on one page, coloured by class, with mistakes marked",
    )
    parser.add_argument(
        "--method", choices=METHODS, default="pca", help="how the map is made (default: pca; tsne takes longer)"
    )
    parser.add_argument(
        "--images", type=int, default=3000, metavar="N", help="images on the map at most (default: 3000)"
    )
    return parser


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.output is None and options.map is None:
        parser.error("one of --output and --map is required")
    if options.images < 3:
        parser.error("--images must be at least 3")
    return options


def _write(options: argparse.Namespace, directory: Path) -> None:
    """Compute the features once, and write what is asked for."""
    from headstart.evaluation.feature_map import choose_points
    from headstart.evaluation.features import read_predictions, write_features
    from headstart.evaluation.writing import figure_source

    for output, argument in ((options.output, "--output"), (options.map, "--map")):
        if output:
            with expect_writable(output, argument=argument):
                output.parent.mkdir(parents=True, exist_ok=True)
    name, config, source = _source(directory)
    predicted = read_predictions(directory / "predictions.csv", source.index)
    chosen = choose_points(source.index, options.images) if options.map else np.array([], int)
    kept: list[np.ndarray] = []
    blocks = _keeping(source.blocks(), chosen, kept)
    if options.output:
        write_features(options.output, source, predicted, blocks)
        text = f"{count_of(len(source.index), 'image')}, {source.width:,} features of each: {options.output}"
        console.print(text, markup=False)
    else:
        collections.deque(blocks, maxlen=0)
    if options.map:
        index = source.index.take(chosen)
        text = figure_source(name, config, index)
        _write_map(options, index, predicted[chosen], np.concatenate(kept), text)
    print_next(_next_commands(options))


def _next_commands(options: argparse.Namespace) -> dict[str, str]:
    """Return the command that a person may want next, with its purpose."""
    if not options.map:
        return {f"headstart features {options.run} --map map.html": "see them on a map"}
    if not options.output:
        return {f"headstart features {options.run} --output features.npz": "the numbers behind the map"}
    return {f"headstart predict {options.run} IMAGE_OR_FOLDER": "label your images"}


def _source(directory: Path) -> tuple[str, Config, FeatureSource]:
    """Return the name and the configuration of a finished run, and its features.

    Raises:
        HeadstartError: when it is not a finished run that evaluated a classifier, or its images have changed.
    """
    from headstart.classifier.saved import load_classifier
    from headstart.config import from_yaml
    from headstart.data.reload import reload_images
    from headstart.evaluation.features import feature_source
    from headstart.results.file import read_results

    results = read_results(directory)
    complete = all((directory / name).is_file() for name in ("config.yaml", "predictions.csv"))
    if results is None or not results.finished or not results.splits or results.fingerprint is None or not complete:
        raise HeadstartError(
            f"Expected a finished run that trained and evaluated a classifier, such as latest. Received: {directory}"
        )
    config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
    index = reload_images(config, results.fingerprint, str(directory))
    source = feature_source(load_classifier(directory, config.inference_backend), config, index)
    return name_of_run(results, config), config, source


def _keeping(blocks: Iterator[np.ndarray], chosen: np.ndarray, kept: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield blocks of rows, and keep the chosen rows.

    Args:
        blocks: of rows.
        chosen: ascending positions among all rows.
        kept: gets the chosen rows of each block.
    """
    start = 0
    for block in blocks:
        first, last = np.searchsorted(chosen, [start, start + len(block)])
        kept.append(block[chosen[first:last] - start])
        start += len(block)
        yield block


def _write_map(
    options: argparse.Namespace, index: ImageIndex, predicted: np.ndarray, features: np.ndarray, subtitle: str
) -> None:
    from headstart.evaluation.feature_map import map_page, project

    with console.status(f"arranging {len(index):,} images"):
        projection = project(features, options.method)
    page = map_page(index, predicted, projection, "Images by their features", subtitle)
    with expect_writable(options.map, argument="--map"):
        write_text(options.map, page)
    console.print(f"{count_of(len(index), 'image')} on a map: {options.map}", markup=False)
