"""A table of images: a CSV file with the columns path, label and, if wanted, split and group."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from headstart.data.index import shortened
from headstart.data.links import WAY_OUT, paths_outside
from headstart.data.listing import ImageRow, Listing
from headstart.data.split_names import USUAL_NAMES, split_of
from headstart.errors import HeadstartError


def list_csv(table: Path, root: Path, follow_links: bool = False) -> Listing:
    """Return the images that a CSV file lists.

    Args:
        table: the CSV file, UTF-8, with a header. `path` is a file relative to the root, `label` its class, `split` one
            of the usual names of a split, `group` what must not straddle two splits (a patient, a film).
        root: directory that the paths are relative to; none of them may leave it.
        follow_links: whether they may by a link.

    Raises:
        HeadstartError: naming the file and the row that is wrong.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            numbered = list(_read_rows(file, table))
    except UnicodeDecodeError as error:
        raise HeadstartError(f"Expected {table} to be encoded as UTF-8. Received: {error.reason}") from error
    except OSError as error:
        raise HeadstartError(f"Expected dataset.csv to be a file. Received: {table} ({error.strerror})") from error
    if not numbered:
        raise HeadstartError(f"Expected a row for each image in {table}. Received: no rows")

    _expect_one_row_each(numbered, table)
    _expect_groups_within_splits(numbered, table)
    outside = set(paths_outside(root, (row.path for _, row in numbered), follow_links))
    if outside:
        named = [f"row {number}: {row.path}" for number, row in numbered if row.path in outside]
        raise HeadstartError(
            f"Expected every path in {table} to lie below {root} (set dataset.root to a directory above them all; "
            f"{WAY_OUT} lets links lead out). Received: {len(named)} that do not, {shortened(named)}"
        )
    missing = [f"row {number}: {row.path}" for number, row in numbered if not (root / row.path).is_file()]
    if missing:
        raise HeadstartError(
            f"Expected every path in {table} to be a file below {root} (set dataset.root for another directory). "
            f"Received: {len(missing)} that are not, {shortened(missing)}"
        )
    return Listing(root, [row for _, row in numbered])


def _read_rows(file: Iterator[str], table: Path) -> Iterator[tuple[int, ImageRow]]:
    """Yield the rows with their numbers in the file, where the header is row 1."""
    reader = csv.DictReader(file)
    columns = reader.fieldnames or []
    for column in ("path", "label"):
        if column not in columns:
            raise HeadstartError(
                f"Expected the columns path,label[,split][,group] in {table}. Received: {','.join(columns)}"
            )
    for values in reader:
        number = reader.line_num
        for column in {"path", "label", "group"}.intersection(columns):
            if not values[column]:
                raise HeadstartError(f"Expected a {column} in row {number} of {table}. Received: nothing")
        split = None
        if "split" in columns:
            split = split_of((values["split"] or "").strip())
            if split is None:
                raise HeadstartError(
                    f"Expected split in row {number} of {table} to be one of {USUAL_NAMES}. Received: {values['split']}"
                )
        yield number, ImageRow(values["path"], values["label"], split, values.get("group"))


def _expect_one_row_each(numbered: list[tuple[int, ImageRow]], table: Path) -> None:
    """Raise when a file is listed twice."""
    seen: dict[str, int] = {}
    for number, row in numbered:
        first = seen.setdefault(row.path, number)
        if first != number:
            raise HeadstartError(
                f"Expected each path once in {table}. Received: {row.path} in row {first} and row {number}"
            )


def _expect_groups_within_splits(numbered: list[tuple[int, ImageRow]], table: Path) -> None:
    """Raise when the images of a group have different splits."""
    seen: dict[str, tuple[int, str | None]] = {}
    for number, row in numbered:
        if row.group is None:
            continue
        first, split = seen.setdefault(row.group, (number, row.split))
        if split != row.split:
            raise HeadstartError(
                f"Expected all images of a group to be in one split in {table}. "
                f"Received: group {row.group} in {split} (row {first}) and in {row.split} (row {number})"
            )
