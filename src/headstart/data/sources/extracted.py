"""Writes datasets that come as arrays or records to image files once, which later runs read."""

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
    """Create a directory with a function, unless it exists already, and return it.

    The directory appears atomically: the function writes to a temporary directory, which is then renamed. If two
    processes write at the same time, the slower one discards its files.

    Args:
        directory: the directory to create.
        write: writes the files to the empty directory that is passed to it.
    """
    if directory.is_dir():
        return directory
    temporary = directory.with_name(f".{truncate_to_bytes(directory.name, 200)}-{uuid4().hex}")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        if hasattr(os, "sync"):  # flushing each file separately would take minutes
            os.sync()
        try:
            temporary.rename(directory)
        except OSError:
            if not directory.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def write_listing(directory: Path, rows: Iterable[ImageRow], notes: Iterable[str] = ()) -> None:
    """Write the table and the notes for `read_listing` into the directory of the images.

    Args:
        directory: of the images.
        rows: one for each image, with a split for all or for none. A table can store class names such as `T-shirt/top`
            that cannot be the name of a directory.
        notes: one sentence each on what was left out.
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
    """Return the images of a directory with the files of `write_listing`."""
    notes = (directory / NOTES).read_text(encoding="utf-8").splitlines()
    return Listing(directory, list_csv(directory / TABLE, directory).rows, tuple(notes))
