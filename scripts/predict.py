"""Label pictures with a saved classifier: `python scripts/predict.py latest photo.jpg folder/`.

With a pretrained network as it is: `python scripts/predict.py --pretrained efficientnet_lite0 photo.jpg folder/`.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.classifier.pretrained import pretrained_classifier
from headstart.classifier.saved import Classifier, load_classifier
from headstart.core.console import console, track
from headstart.core.errors import HeadstartError, printable
from headstart.core.files import MAX_FILE_NAME_BYTES, truncate_to_bytes, write_text
from headstart.core.program import exit_with
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported
from headstart.data.files.high_bit_depth import ValueRange
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.images import load_image
from headstart.data.files.links import expect_links_inside
from headstart.data.files.value_range import value_range_warnings
from headstart.data.files.walk import files_below, is_image
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.plots import overlay
from headstart.evaluation.writing import save_picture
from headstart.inference.backend import ENGINES
from headstart.model.heads import best_labels
from headstart.results.runs import find_run

FORMATS = ("table", "csv", "json")
WIDTH_OF_FILES = 120  # characters, of a table that is written to a file
SIDE = 480  # pixels, of the pictures that are drawn
FONT_SIZE = SIDE // 20  # of the band below them, which is twice as high


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
        failed = draw_all(classifier, rows, options.overlay) if options.overlay else 0
        if options.explain:
            failed += explain_all(classifier, rows, options.explain, options.batch_size)
    except HeadstartError as error:
        complain(f"Error: {error}")
        return 1
    return 1 if failed or any("error" in row for row in rows) else 0


def complain(text: str) -> None:
    """Print a line beside the answer, which another program may read."""
    sys.stdout.flush()  # what was said before it stays before it
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run's or a classifier's directory, an MLflow run id, latest or best")
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
    complain(f"  Note: {printable(note)}")


def answer(file: Path, result: np.ndarray | HeadstartError, class_names: tuple[str, ...], top: int) -> dict[str, Any]:
    """Return one row: the path, the label, its confidence and the best labels, or what is wrong with the file."""
    if isinstance(result, HeadstartError):
        return {"path": str(file), "error": str(result)}
    best = best_labels(result, class_names, top)
    return {"path": str(file), **best[0], "top": best}


def show(rows: list[dict[str, Any]], form: str, output: Path | None, top: int) -> None:
    """Print the rows, or write them to a file.

    Args:
        rows: see `answer`.
        form: table, csv or json.
        output: the file; None is the terminal.
        top: how many labels a row has.

    Raises:
        HeadstartError: when the file cannot be written.
    """
    if form == "table" and output is None:
        print_table(rows, console)
        return
    text = io.StringIO()
    if form == "table":
        print_table(rows, Console(file=text, width=WIDTH_OF_FILES, highlight=False))
    elif form == "json":
        json.dump(rows, text, indent=2, ensure_ascii=False)
        text.write("\n")
    else:
        write_csv(rows, text, top)
    if output is None:
        sys.stdout.write(text.getvalue())
        return
    try:
        write_text(output, text.getvalue())
    except OSError as error:
        raise HeadstartError(f"Expected a file that can be written. Received: {output} ({error.strerror})") from error


def write_csv(rows: list[dict[str, Any]], file: TextIO, top: int) -> None:
    """Write path, label and confidence, the next labels in columns of their own, and what is wrong with the file."""
    writer = csv.writer(file, lineterminator="\n")
    numbers = ["", *(f"_{number}" for number in range(2, top + 1))]
    writer.writerow(["path", *(f"{name}{number}" for number in numbers for name in ("label", "confidence")), "error"])
    for row in rows:
        labels = [cell for best in row.get("top", []) for cell in (best["label"], best["confidence"])]
        writer.writerow([row["path"], *(labels or [""] * 2 * top), row.get("error", "")])


def print_table(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a table of the labels, then the files that could not be read."""
    table = Table()
    for column in ("picture", "label", "confidence", "next"):
        table.add_column(column, overflow="fold", justify="right" if column == "confidence" else "left")
    for row in rows:
        if "error" not in row:
            path, label = escape(printable(row["path"])), escape(printable(row["label"]))
            others = ", ".join(f"{printable(other['label'])} {other['confidence']:.1%}" for other in row["top"][1:])
            table.add_row(path, label, f"{row['confidence']:.1%}", escape(others))
    if table.rows:
        console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"  not read: {row['error']}", markup=False, soft_wrap=True)


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


def draw_all(classifier: Classifier, rows: list[dict[str, Any]], directory: Path) -> int:
    """Write each picture that could be read with its label, and return how many could not be written."""
    files = files_to_draw(rows, directory)
    readable = [row for row in rows if "error" not in row]
    drawings = (
        partial(draw, Path(row["path"]), row["label"], row["confidence"], classifier.value_range) for row in readable
    )
    return sum(not written(drawing, next(files)) for drawing in track(drawings, len(readable), "drawing"))


def explain_all(classifier: Classifier, rows: list[dict[str, Any]], directory: Path, batch_size: int) -> int:
    """Write each picture that could be read, as the classifier sees it, beside a heat map of its label.

    Returns:
        How many could not be written.
    """
    files = files_to_draw(rows, directory)
    failed = 0
    grad_cam = GradCam(classifier.model)
    readable = [row for row in rows if "error" not in row]
    for start in track(range(0, len(readable), batch_size), -(-len(readable) // batch_size), "explaining"):
        batch = readable[start : start + batch_size]
        images = np.stack([classifier.load(Path(row["path"])) for row in batch])
        # Not by the label: two classes of ImageNet may share their name.
        classes = classifier.probabilities(images).argmax(axis=1)
        for row, heat in zip(batch, grad_cam.heat_maps(images, classes), strict=True):

            def sheet(row: dict[str, Any] = row, heat: np.ndarray = heat) -> Image.Image:
                picture = classifier.load(Path(row["path"]), SIDE)
                return explain(picture, heat, row["label"], row["confidence"])

            failed += not written(sheet, next(files))
    return failed


def written(picture: Callable[[], Image.Image], file: Path) -> bool:
    """Write a picture, or say in a line why it cannot be, and return whether it is there."""
    try:
        save_picture(picture(), file)
    except (OSError, HeadstartError) as error:  # a full disk, a picture that is gone by now
        complain(f"Warning: not drawn: {printable(str(file))} ({getattr(error, 'strerror', None) or error})")
        return False
    return True


def files_to_draw(rows: list[dict[str, Any]], directory: Path) -> Iterator[Path]:
    """Yield a file for each picture that could be read; of the same name in several folders, with a number.

    Names are cut where the file system would refuse them. They differ in more than capital and small letters, which
    some file systems do not tell apart.
    """
    used: set[str] = set()
    for row in rows:
        if "error" in row:
            continue
        stem = Path(row["path"]).stem
        count_suffixes = itertools.chain([".png"], (f"_{number}.png" for number in itertools.count(2)))
        names = (f"{truncate_to_bytes(stem, MAX_FILE_NAME_BYTES - len(ending))}{ending}" for ending in count_suffixes)
        name = next(name for name in names if name.casefold() not in used)
        used.add(name.casefold())
        yield directory / name


def draw(file: Path, label: str, confidence: float, value_range: ValueRange | None = None) -> Image.Image:
    """Return a picture in a square of SIDE pixels, the label on a band below it."""
    return captioned(load_image(file, SIDE, "pad", value_range=value_range), label, f"  {confidence:.1%}")


def explain(picture: np.ndarray, heat: np.ndarray, label: str, confidence: float) -> Image.Image:
    """Return a picture of SIDE pixels with its label, and beside it what spoke for that label."""
    meaning = "yellow spoke for it, grey did not" if heat.any() else "nothing spoke for it"
    sheet = Image.new("RGB", (2 * SIDE, SIDE + 2 * FONT_SIZE))
    sheet.paste(captioned(picture, label, f"  {confidence:.1%}"))
    sheet.paste(captioned(overlay(picture, heat), meaning), (SIDE, 0))
    return sheet


def captioned(picture: np.ndarray, text: str, ending: str = "") -> Image.Image:
    """Return a picture of SIDE pixels, a text on a band below it, shortened before its ending where it is too long."""
    import matplotlib

    # Pillow's own font has no letters beyond ASCII.
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), FONT_SIZE)
    shown = text
    while len(shown) > 1 and font.getlength(shown + ending) > SIDE - FONT_SIZE:
        shown = shown.removesuffix("…")[:-1] + "…"
    sheet = Image.new("RGB", (SIDE, SIDE + 2 * FONT_SIZE))
    sheet.paste(Image.fromarray(picture))
    position = FONT_SIZE // 2, SIDE + FONT_SIZE // 3
    ImageDraw.Draw(sheet).text(position, shown + ending, fill="white", font=font)
    return sheet


if __name__ == "__main__":
    exit_with(main)
