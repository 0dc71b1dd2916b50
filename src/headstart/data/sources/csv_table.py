"""The source `csv`: a table of images with the columns path, label and optionally split and group."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.data.files.links import WAY_OUT, paths_outside
from headstart.data.index import first_few
from headstart.data.label_spelling import normalize_name
from headstart.data.sources.csv_columns import TableLayout, find_table_layout
from headstart.data.sources.csv_dialect import Record, TableText, expect_closed_quotes, read_text, truncate
from headstart.data.sources.csv_paths import FileFinder
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_names import USUAL_NAMES, split_of

MAX_SHOWN = 5  # missing files in a message, each with a similar existing file


def list_csv(
    table: Path, root: Path, follow_links: bool = False, columns: Mapping[str, str | None] | None = None
) -> Listing:
    """Return the images that a CSV file lists.

    Args:
        table: the CSV file with a header: UTF-8 (or UTF-16 with a byte order mark), its fields separated by commas,
            semicolons, tabs or vertical bars. `path` is a file relative to the root, `label` its class, `split` one of
            the usual names of a split, `group` a unit that must stay within one split, such as a patient or a film.
        root: directory that the paths are relative to and must not leave.
        follow_links: whether links may lead out of the root.
        columns: unusual names of columns by role, as in `{"path": "scan"}`; None for a role to ignore.

    Raises:
        HeadstartError: naming the file and the wrong row.
    """
    text = read_text(table)
    layout = find_table_layout(text, columns, root)
    reading = _TableReader(table, root, layout, FileFinder(root))
    numbered = list(reading.rows(text))
    if not numbered:
        raise HeadstartError(f"Expected a row for each image in {table}. Received: no rows")
    outside = set(paths_outside(root, (row.path for _, row in numbered), follow_links))
    if outside:
        named = [f"row {number}: {row.path}" for number, row in numbered if row.path in outside]
        raise HeadstartError(
            f"Expected every path in {table} to lie below {root} (set dataset.root to a directory above them all; "
            f"{WAY_OUT} lets links lead out). Received: {len(named)} that do not, {first_few(named)}"
        )
    _expect_no_missing(reading)
    _expect_one_row_each(numbered, table, root)
    _expect_groups_within_splits(numbered, table)
    comments = f"Lines of {table.name} that begin with # were left out as comments ({reading.comments})"
    notes = (*layout.notes, *([comments] if reading.comments else []), *reading.finder.notes())
    return Listing(root, [row for _, row in numbered], notes)


@dataclass
class _TableReader:
    """Converts the records of a table to images."""

    table: Path
    root: Path
    layout: TableLayout
    finder: FileFinder
    comments: int = 0
    missing: list[Record] = field(default_factory=list)  # whose files do not exist

    def rows(self, text: TableText) -> Iterator[tuple[int, ImageRow]]:
        """Yield the images with their line numbers in the file."""
        records = text.records(self.layout.separator)
        next(records)
        used = set(self.layout.columns.values())
        for record in records:
            expect_closed_quotes(record, self.table, self.root, self.layout.separator, used)
            if record.values[0].startswith("#") and self._is_comment(record):
                self.comments += 1
                continue
            yield record.number, self._row(record)

    def _is_comment(self, record: Record) -> bool:
        """Return whether a row that begins with # is a comment, and not an image whose path or label begins so."""
        path = self.layout.columns["path"]
        if len(record.values) != len(self.layout.header):
            return True
        return path == 0 and self.finder.find(record.values[path]) is None

    def _row(self, record: Record) -> ImageRow:
        """Return the image of a record."""
        header, number = self.layout.header, record.number
        values = record.values
        while len(values) > len(header) and not values[-1].strip():
            values = values[:-1]
        if len(values) != len(header):
            raise HeadstartError(
                f"Expected {len(header)} fields in row {number} of {self.table}, as in its header "
                f"({truncate(','.join(header))}). Received: {len(values)}, "
                f"{truncate(self.layout.separator.join(values))}",
                "put fields that contain the separator in quotes",
            )
        given = {role: values[position] for role, position in self.layout.columns.items()}
        for role, value in given.items():
            if not normalize_name(value):
                raise HeadstartError(
                    f"Expected a {role} in row {number} of {self.table}. Received: nothing{self._ignore(role)}"
                )
        split = None
        if "split" in given:
            split = split_of(normalize_name(given["split"]))
            if split is None:
                raise HeadstartError(
                    f"Expected split in row {number} of {self.table} to be one of {USUAL_NAMES}. "
                    f"Received: {truncate(given['split'])}{self._ignore('split')}"
                )
        path = self.finder.find(given["path"])
        if path is None:
            path = given["path"].strip()
            self.missing.append(record)
        group = normalize_name(given["group"]) if "group" in given else None
        return ImageRow(path, given["label"], split, group)

    def _ignore(self, role: str) -> str:
        """Return advice for a column that was taken for an optional one by its name only."""
        name = self.layout.header[self.layout.columns[role]]
        if role not in ("split", "group"):
            return ""
        return f" in the column {name}; dataset.columns.{role}=false leaves the column out"


def _expect_no_missing(reading: _TableReader) -> None:
    """Raise if files do not exist, and suggest similar names."""
    if not reading.missing:
        return
    layout, column = reading.layout, reading.layout.columns["path"]
    paths = [truncate(record.values[column].strip()) for record in reading.missing]
    named = [
        f"row {record.number}: {reading.finder.hint(path) if position < MAX_SHOWN else path}"
        for position, (record, path) in enumerate(zip(reading.missing, paths, strict=True))
    ]
    way_out = ""
    others = [name for name, value in zip(layout.header, reading.missing[0].values, strict=False) if value.strip()]
    found = [name for name in others if reading.finder.find(reading.missing[0].values[layout.header.index(name)])]
    if found:
        way_out = f"; the column {found[0]} has existing files, dataset.columns.path={shlex.quote(found[0])}"
    elif not any(os.path.splitext(path)[1] for path in paths):
        way_out = "; the paths have no suffix: add the suffix of the files, as in 0001.jpg"
    raise HeadstartError(
        f"Expected every path in {reading.table} to be a file below {reading.root} (set dataset.root for another "
        f"directory). Received: {len(paths)} that are not, {first_few(named, MAX_SHOWN)}{way_out}"
    )


def _expect_one_row_each(numbered: list[tuple[int, ImageRow]], table: Path, root: Path) -> None:
    """Raise if a file is listed twice."""
    seen: dict[str, int] = {}
    for number, row in numbered:
        first = seen.setdefault(os.path.normpath(os.path.join(root, row.path)), number)
        if first != number:
            raise HeadstartError(
                f"Expected each path once in {table}. Received: {row.path} in row {first} and row {number}"
            )


def _expect_groups_within_splits(numbered: list[tuple[int, ImageRow]], table: Path) -> None:
    """Raise if the images of a group are in different splits."""
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
