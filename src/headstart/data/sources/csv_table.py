"""A table of images: a CSV file with the columns path, label and, if wanted, split and group."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.data.files.links import WAY_OUT, paths_outside
from headstart.data.index import shortened
from headstart.data.label_spelling import spelled
from headstart.data.sources.csv_columns import Layout, find_layout
from headstart.data.sources.csv_dialect import Record, Text, cut, expect_no_swallowed_rows, read_text
from headstart.data.sources.csv_paths import FileFinder
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_names import USUAL_NAMES, split_of

SHOWN = 5  # of the files that are not there, each with one beside it that may be meant


def list_csv(
    table: Path, root: Path, follow_links: bool = False, columns: Mapping[str, str | None] | None = None
) -> Listing:
    """Return the images that a CSV file lists.

    Args:
        table: the CSV file with a header: UTF-8 (or UTF-16 with a byte order mark), its fields separated by commas,
            semicolons, tabs or vertical bars. `path` is a file relative to the root, `label` its class, `split` one of
            the usual names of a split, `group` what must not straddle two splits (a patient, a film).
        root: directory that the paths are relative to; none of them may leave it.
        follow_links: whether they may by a link.
        columns: names of the columns where they are none of the usual ones, as in `{"path": "scan"}`; None for a
            column that is not to be read.

    Raises:
        HeadstartError: naming the file and the row that is wrong.
    """
    text = read_text(table)
    layout = find_layout(text, columns, root)
    reading = _Reading(table, root, layout, FileFinder(root))
    numbered = list(reading.rows(text))
    if not numbered:
        raise HeadstartError(f"Expected a row for each image in {table}. Received: no rows")
    outside = set(paths_outside(root, (row.path for _, row in numbered), follow_links))
    if outside:
        named = [f"row {number}: {row.path}" for number, row in numbered if row.path in outside]
        raise HeadstartError(
            f"Expected every path in {table} to lie below {root} (set dataset.root to a directory above them all; "
            f"{WAY_OUT} lets links lead out). Received: {len(named)} that do not, {shortened(named)}"
        )
    _expect_no_missing(reading)
    _expect_one_row_each(numbered, table, root)
    _expect_groups_within_splits(numbered, table)
    comments = f"Lines of {table.name} that begin with # were left out as comments ({reading.comments})"
    notes = (*layout.notes, *([comments] if reading.comments else []), *reading.finder.notes())
    return Listing(root, [row for _, row in numbered], notes)


@dataclass
class _Reading:
    """A table on its way to rows."""

    table: Path
    root: Path
    layout: Layout
    finder: FileFinder
    comments: int = 0
    missing: list[Record] = field(default_factory=list)  # of files that are not there

    def rows(self, text: Text) -> Iterator[tuple[int, ImageRow]]:
        """Yield the rows with the numbers of their lines in the file."""
        records = text.records(self.layout.separator)
        next(records)
        used = set(self.layout.columns.values())
        for record in records:
            expect_no_swallowed_rows(record, self.table, self.root, self.layout.separator, used)
            if record.values[0].startswith("#") and self._is_comment(record):
                self.comments += 1
                continue
            yield record.number, self._row(record)

    def _is_comment(self, record: Record) -> bool:
        """Tell a comment from the row of a file, or of a label, that begins with #."""
        path = self.layout.columns["path"]
        if len(record.values) != len(self.layout.header):
            return True
        return path == 0 and self.finder.find(record.values[path]) is None

    def _row(self, record: Record) -> ImageRow:
        """Return the row that a record is."""
        header, number = self.layout.header, record.number
        values = record.values
        while len(values) > len(header) and not values[-1].strip():
            values = values[:-1]
        if len(values) != len(header):
            raise HeadstartError(
                f"Expected {len(header)} fields in row {number} of {self.table}, as in its header "
                f"({cut(','.join(header))}). Received: {len(values)}, {cut(self.layout.separator.join(values))}; "
                "a field that has the separator in it stands in quotes"
            )
        given = {role: values[position] for role, position in self.layout.columns.items()}
        for role, value in given.items():
            if not spelled(value):
                raise HeadstartError(
                    f"Expected a {role} in row {number} of {self.table}. Received: nothing{self._ignore(role)}"
                )
        split = None
        if "split" in given:
            split = split_of(spelled(given["split"]))
            if split is None:
                raise HeadstartError(
                    f"Expected split in row {number} of {self.table} to be one of {USUAL_NAMES}. "
                    f"Received: {cut(given['split'])}{self._ignore('split')}"
                )
        path = self.finder.find(given["path"])
        if path is None:
            path = given["path"].strip()
            self.missing.append(record)
        group = spelled(given["group"]) if "group" in given else None
        return ImageRow(path, given["label"], split, group)

    def _ignore(self, role: str) -> str:
        """Return the way out where a column only looks like one that need not be there."""
        name = self.layout.header[self.layout.columns[role]]
        if role not in ("split", "group"):
            return ""
        return f" in the column {name}; dataset.columns.{role}=false leaves the column out"


def _expect_no_missing(reading: _Reading) -> None:
    """Raise when files are not there, with what may be meant."""
    if not reading.missing:
        return
    layout, column = reading.layout, reading.layout.columns["path"]
    paths = [cut(record.values[column].strip()) for record in reading.missing]
    named = [
        f"row {record.number}: {reading.finder.hint(path) if position < SHOWN else path}"
        for position, (record, path) in enumerate(zip(reading.missing, paths, strict=True))
    ]
    way_out = ""
    others = [name for name, value in zip(layout.header, reading.missing[0].values, strict=False) if value.strip()]
    found = [name for name in others if reading.finder.find(reading.missing[0].values[layout.header.index(name)])]
    if found:
        way_out = f"; the column {found[0]} has files that are there, dataset.columns.path={shlex.quote(found[0])}"
    elif not any(os.path.splitext(path)[1] for path in paths):
        way_out = "; the paths have no suffix: write them as the files are named, such as 0001.jpg"
    raise HeadstartError(
        f"Expected every path in {reading.table} to be a file below {reading.root} (set dataset.root for another "
        f"directory). Received: {len(paths)} that are not, {shortened(named, SHOWN)}{way_out}"
    )


def _expect_one_row_each(numbered: list[tuple[int, ImageRow]], table: Path, root: Path) -> None:
    """Raise when a file is listed twice."""
    seen: dict[str, int] = {}
    for number, row in numbered:
        first = seen.setdefault(os.path.normpath(os.path.join(root, row.path)), number)
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
