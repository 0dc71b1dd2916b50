"""Label pictures with a saved classifier: `python scripts/predict.py latest photo.jpg folder/`."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HEADSTART_OUTPUTS", str(Path(__file__).absolute().parents[1] / "outputs"))

from rich.markup import escape
from rich.table import Table

from headstart.artifact import load_classifier
from headstart.console import console
from headstart.data.images import IMAGE_EXTENSIONS
from headstart.errors import HeadstartError
from headstart.runs import find_run

if TYPE_CHECKING:
    import numpy as np


def main(arguments: list[str] | None = None) -> int:
    """Predict, print or write the labels, and return the exit code: 1 when any file could not be read."""
    options = parse(arguments)
    try:
        classifier = load_classifier(find_run(options.run))
        files = list(find_images(options.images))
        overlay = overlay_directory(options.overlay)
        answers = (
            answer(file, result, classifier.class_names, options.top)
            for file, result in classifier.predict(files, options.batch_size)
        )
        rows = []
        for row in answers:
            rows.append(row)
            if overlay and "error" not in row:
                draw(Path(row["path"]), row["label"], row["confidence"], overlay)
        show(rows, options.format, options.output)
    except HeadstartError as error:
        console.print(f"Error: {error}", markup=False, soft_wrap=True)
        return 1
    return 1 if any("error" in row for row in rows) else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run's or a classifier's directory, an MLflow run id, or latest")
    parser.add_argument("images", nargs="+", type=Path, help="picture files, or folders which are searched for them")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="how many labels for each picture (3)")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how to answer (table)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the answer there instead of the terminal")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write the pictures with label and confidence")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="pictures at once (32)")
    options = parser.parse_args(arguments)
    for name in ("top", "batch_size"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options


def find_images(given: list[Path]) -> Iterator[Path]:
    """Yield the files that were named, and the pictures below the folders that were named.

    Raises:
        HeadstartError: when a path does not exist, or a folder holds no picture.
    """
    for path in given:
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_EXTENSIONS)
            if not below:
                raise HeadstartError(
                    f"Expected pictures ({', '.join(sorted(IMAGE_EXTENSIONS))}) below {path}. Received: none"
                )
            yield from below
        elif path.exists():
            yield path
        else:
            raise HeadstartError(f"Expected a picture or a folder. Received: {path}, which does not exist")


def answer(file: Path, result: np.ndarray | HeadstartError, class_names: tuple[str, ...], top: int) -> dict[str, Any]:
    """Return one row: the path, the label, its confidence and the best labels, or what is wrong with the file."""
    if isinstance(result, HeadstartError):
        return {"path": str(file), "error": str(result)}
    order = result.argsort()[::-1][:top]
    best = [{"label": class_names[position], "confidence": round(float(result[position]), 6)} for position in order]
    return {"path": str(file), **best[0], "top": best}


def show(rows: list[dict[str, Any]], form: str, output: Path | None) -> None:
    """Print the rows, or write them to a file."""
    if form == "table" and output is None:
        print_table(rows)
        return
    with output.open("w", newline="", encoding="utf-8") if output else open(1, "w", closefd=False) as file:
        if form == "json":
            json.dump(rows, file, indent=2, ensure_ascii=False)
            file.write("\n")
            return
        writer = csv.writer(file)
        writer.writerow(["path", "label", "confidence", "error"])
        for row in rows:
            writer.writerow([row["path"], row.get("label", ""), row.get("confidence", ""), row.get("error", "")])


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a table of the labels, then the files that could not be read."""
    table = Table()
    table.add_column("picture", overflow="fold")
    table.add_column("label", overflow="fold")
    table.add_column("confidence", justify="right")
    table.add_column("next", overflow="fold")
    for row in rows:
        if "error" not in row:
            others = ", ".join(f"{other['label']} {other['confidence']:.1%}" for other in row["top"][1:])
            table.add_row(escape(row["path"]), escape(row["label"]), f"{row['confidence']:.1%}", escape(others))
    console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"  not read: {row['error']}", markup=False, soft_wrap=True)


def overlay_directory(directory: Path | None) -> Path | None:
    """Make the directory for pictures with their labels drawn on them.

    Raises:
        HeadstartError: when it cannot be made.
    """
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadstartError(
            f"Expected a directory that can be written for --overlay. Received: {directory} ({error.strerror})"
        ) from error
    return directory


def draw(file: Path, label: str, confidence: float, directory: Path) -> None:
    """Write a picture, upright and at its own size, with its label on a dark band below it."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    with Image.open(file) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture = picture if picture.width >= 160 else picture.resize((160, round(160 * picture.height / picture.width)))
    size = max(14, picture.width // 20)
    font = ImageFont.load_default(size)
    ending = f"  {confidence:.1%}"
    shown = label
    while len(shown) > 1 and font.getlength(shown + ending) > picture.width - size:
        shown = shown.removesuffix("…")[:-1] + "…"
    sheet = Image.new("RGB", (picture.width, picture.height + 2 * size), (24, 24, 24))
    sheet.paste(picture, (0, 0))
    ImageDraw.Draw(sheet).text((size // 2, picture.height + size // 3), shown + ending, fill="white", font=font)
    number = 1
    target = directory / f"{file.stem}.png"
    while target.exists():  # files of the same name in several folders
        number += 1
        target = directory / f"{file.stem}_{number}.png"
    sheet.save(target)


if __name__ == "__main__":
    sys.exit(main())
