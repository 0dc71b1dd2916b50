"""The output of `headstart predict`: a row for each image, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.core.console import console
from headstart.core.errors import HeadstartError, printable
from headstart.core.files import write_text
from headstart.model.heads import best_labels, predicted_classes

FORMATS = ("table", "csv", "json")
WIDTH_OF_FILES = 120  # characters of a table in a file


def output_row(
    file: Path,
    result: np.ndarray | HeadstartError,
    class_names: tuple[str, ...],
    top: int,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Return a row: the path, the label, its confidence and the top labels; or the path and the error.

    With a threshold between two classes, the label that it gives is the first one, though it may be the less likely.
    """
    if isinstance(result, HeadstartError):
        return {"path": str(file), "error": str(result)}
    if threshold is None:
        best = best_labels(result, class_names, top)
    else:
        label = class_names[predicted_classes(result[None], threshold)[0]]
        best = sorted(best_labels(result, class_names, 2), key=lambda one: one["label"] != label)[:top]
    return {"path": str(file), **best[0], "top": best}


def print_or_write(rows: list[dict[str, Any]], form: str, output: Path | None, top: int) -> None:
    """Print the rows, or write them to a file.

    Args:
        rows: see `output_row`.
        form: table, csv or json.
        output: the file; None: print to the terminal.
        top: number of labels in a row.

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
        raise HeadstartError(f"Expected a writable file. Received: {output} ({error.strerror})") from error


def write_csv(rows: list[dict[str, Any]], file: TextIO, top: int) -> None:
    """Write the columns path, label and confidence for each of the top labels, and error."""
    writer = csv.writer(file, lineterminator="\n")
    numbers = ["", *(f"_{number}" for number in range(2, top + 1))]
    writer.writerow(["path", *(f"{name}{number}" for number in numbers for name in ("label", "confidence")), "error"])
    for row in rows:
        labels = [cell for best in row.get("top", []) for cell in (best["label"], best["confidence"])]
        writer.writerow([row["path"], *(labels or [""] * 2 * top), row.get("error", "")])


def print_table(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a table of the labels, then the files that could not be read."""
    table = Table()
    for column in ("image", "label", "confidence", "next"):
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
            console.print(f"  Skipped: {row['error']}", markup=False, soft_wrap=True)
