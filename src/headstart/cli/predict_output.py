"""The output of `headstart predict`: a row for each image, as a table, CSV or JSON, and the classifier's name."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape

from headstart.classifier.saved import Classifier, Prediction
from headstart.cli.model_lines import model_lines, print_lines, unfamiliar_line
from headstart.core.console import console, format_percent, new_table, print_to_stderr
from headstart.core.errors import HeadstartError, expect_writable, printable
from headstart.core.files import write_text
from headstart.model.heads import best_labels, predicted_classes

FORMATS = ("table", "csv", "json")
WIDTH_OF_FILES = 120  # characters of a table in a file
OTHER_COLUMNS, NARROWEST = 52, 20  # characters of a table that are not for paths, and those of a path at least
DECIMALS = 3  # of a distance


@dataclass(frozen=True)
class Labels:
    """The rows of all images, and the classifier that labelled them."""

    rows: list[dict[str, Any]]  # see `output_row`
    top: int  # number of labels in a row
    classifier: Classifier

    def lines_before(self) -> list[str]:
        """Return the name of the classifier, its data and its accuracy."""
        return model_lines(self.classifier, self.classifier.directory)

    def line_after(self) -> str:
        """Return how many of the images look unlike the training images."""
        return unfamiliar_line(self.classifier, [row["unfamiliar"] for row in self.rows if "error" not in row])


def output_row(
    file: Path,
    result: Prediction | HeadstartError,
    class_names: tuple[str, ...],
    top: int,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Return a row: the path, the label, its confidence, the top labels and whether the image is unfamiliar.

    Of a file that could not be read, it is the path and the error. With a threshold between two classes, the label that
    it gives is the first one, though it may be the less likely.
    """
    if isinstance(result, HeadstartError):
        return {"path": str(file), "error": str(result)}
    probabilities = result.probabilities
    if threshold is None:
        best = best_labels(probabilities, class_names, top)
    else:
        label = class_names[predicted_classes(probabilities[None], threshold)[0]]
        best = sorted(best_labels(probabilities, class_names, 2), key=lambda one: one["label"] != label)[:top]
    distance = None if result.distance is None else round(result.distance, DECIMALS)
    return {"path": str(file), **best[0], "top": best, "unfamiliar": result.unfamiliar, "distance": distance}


def print_or_write(labels: Labels, form: str, output: Path | None) -> None:
    """Print the labels, or write them to a file; name the classifier, beside what another program may read.

    Args:
        labels: of all images.
        form: table, csv or json.
        output: the file; None: print to the terminal.

    Raises:
        HeadstartError: when the file cannot be written.
    """
    if form == "table" and output is None:
        print_lines(labels.lines_before())
        print_table(labels.rows, console)
        print_lines([labels.line_after()])
        return
    text = io.StringIO()
    if form == "table":
        print_table(labels.rows, Console(file=text, width=WIDTH_OF_FILES, highlight=False))
    elif form == "json":
        json.dump(labels.rows, text, indent=2, ensure_ascii=False)
        text.write("\n")
    else:
        write_csv(labels.rows, text, labels.top)
    if output is None:
        sys.stdout.write(text.getvalue())
        for line in [*labels.lines_before(), labels.line_after()]:
            print_to_stderr(line)
        return
    with expect_writable(output):
        write_text(output, text.getvalue())
    print_lines([*labels.lines_before(), f"{printable(str(output))}: {len(labels.rows):,} rows", labels.line_after()])


def write_csv(rows: list[dict[str, Any]], file: TextIO, top: int) -> None:
    """Write the columns path, label and confidence for each of the top labels, unfamiliar, distance and error."""
    writer = csv.writer(file, lineterminator="\n")
    numbers = ["", *(f"_{number}" for number in range(2, top + 1))]
    columns = [f"{name}{number}" for number in numbers for name in ("label", "confidence")]
    writer.writerow(["path", *columns, "unfamiliar", "distance", "error"])
    for row in rows:
        labels = [cell for best in row.get("top", []) for cell in (best["label"], best["confidence"])]
        unfamiliar = {True: "yes", False: "no", None: ""}[row.get("unfamiliar")]
        distance = row.get("distance")
        last = [unfamiliar, "" if distance is None else distance, row.get("error", "")]
        writer.writerow([row["path"], *(labels or [""] * 2 * top), *last])


def print_table(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a table of the labels, then the files that could not be read.

    Paths are relative to the deepest directory of all images, which is printed if there is more than one image.
    """
    read = [row for row in rows if "error" not in row]
    shared = _shared_directory([row["path"] for row in read]) if len(read) > 1 else ""
    table = new_table("image", "label", "confidence", "next", "unfamiliar", left=("label", "next", "unfamiliar"))
    for row in read:
        name = printable(os.path.relpath(row["path"], shared) if shared else row["path"])
        path = escape(_shortened(name, max(console.width - OTHER_COLUMNS, NARROWEST)))
        others = ", ".join(
            f"{printable(other['label'])} {format_percent(other['confidence'])}" for other in row["top"][1:]
        )
        cells = (path, escape(printable(row["label"])), format_percent(row["confidence"]), escape(others))
        table.add_row(*cells, "yes" if row["unfamiliar"] else "")
    if shared:
        console.print(f"  images in {printable(shared)}", markup=False)
    if table.rows:
        console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"  Skipped: {row['error']}", markup=False)


def _shortened(path: str, width: int) -> str:
    """Return a path of at most a width: directories are left out from the front, the file's name is whole."""
    parts = path.split(os.sep)
    while len(path) > width and len(parts) > 1:
        parts = parts[1:]
        path = os.sep.join(["…", *parts])
    return path


def _shared_directory(paths: list[str]) -> str:
    """Return the deepest directory of all paths; an empty text if they share none."""
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # absolute and relative ones
        return ""
