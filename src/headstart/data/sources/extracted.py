"""Data sets that come as arrays or records become image files, once: every later run reads the files."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

from headstart.core.files import truncate_to_bytes
from headstart.data.sources.csv_table import list_csv
from headstart.data.sources.listing import ImageRow, Listing

TABLE = "images.csv"
NOTES = "notes.txt"


def write_once(directory: Path, write: Callable[[Path], None]) -> Path:
    """Let a function write a directory, unless it is there already, and return it.

    Whole or not at all: the files are written beside the directory, which then gets its name in one step. Of two
    processes that do so at the same time, the slower one throws its files away.

    Args:
        directory: the place.
        write: puts the files into the empty directory that it is given.
    """
    if directory.is_dir():
        return directory
    temporary = directory.with_name(f".{truncate_to_bytes(directory.name, 200)}-{uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        if hasattr(os, "sync"):  # all files at once: one after the other they take minutes
            os.sync()
        try:
            temporary.rename(directory)
        except OSError:
            if not directory.is_dir():  # anything but another process that was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def write_listing(directory: Path, rows: Iterable[ImageRow], notes: Iterable[str] = ()) -> None:
    """Write the table and the notes that `read_listing` reads, beside the images.

    Args:
        directory: of the images.
        rows: one for each image, all with a split or none. A table holds any name of a class, a directory does not:
            `T-shirt/top`.
        notes: what was left out, one sentence each.
    """
    with (directory / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for position, row in enumerate(rows):
            values = {"path": row.path, "label": row.label} | ({"split": row.split} if row.split else {})
            if position == 0:
                writer.writerow(values)
            writer.writerow(values.values())
    (directory / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")


def read_listing(directory: Path) -> Listing:
    """Return the images of a directory that was written with its table and notes."""
    notes = (directory / NOTES).read_text(encoding="utf-8").splitlines()
    return Listing(directory, list_csv(directory / TABLE, directory).rows, tuple(notes))
