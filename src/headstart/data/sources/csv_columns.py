"""Finds the columns of a table with the path, the label, the split and the group: by name, or by `dataset.columns`."""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headstart.core.errors import HeadstartError, expect_one_of
from headstart.data.files.formats import IMAGE_EXTENSIONS
from headstart.data.index import first_few
from headstart.data.label_spelling import normalize_name
from headstart.data.sources.csv_dialect import SEPARATORS, TableText, expect_closed_quotes, truncate

# Usual names of each column; a later tuple counts only for tables without a name from an earlier one.
NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "path": (
        ("path",),
        (
            *("paths", "file", "files", "filename", "filenames", "file_name", "filepath", "filepaths", "file_path"),
            *("image", "images", "image_path", "image_file", "image_filename", "image_name"),
            *("img", "img_path", "img_file", "img_name"),
        ),
        ("image_id", "img_id", "file_id", "id", "id_code"),
    ),
    "label": (
        ("label",),
        (
            *("labels", "label_name", "class", "classes", "class_name", "classname", "class_label"),
            *("category", "category_name", "target", "species", "breed", "diagnosis", "dx"),
        ),
    ),
    "split": (("split",), ("splits", "set", "subset", "partition", "data_set")),
    "group": (("group",), ("groups", "group_id", "patient", "patients", "patient_id", "patientid", "subject_id")),
}
WAY_OUT = "dataset.columns.path=NAME dataset.columns.label=NAME names the columns"
ZEROS_AND_ONES = {"", "0", "1", "0.0", "1.0", "false", "true"}
MAX_HEADER_LENGTH = 1000  # characters of a header in a message
SAMPLED_ROWS = 100  # read to recognise a table with one column per class


@dataclass(frozen=True)
class TableLayout:
    """The separator and the columns of a table.

    Args:
        separator: between fields.
        header: names of the columns, without trailing empty names.
        columns: position of path, label and, if the table has them, split and group.
        notes: a sentence on what was detected, unless the table has the default layout.
    """

    separator: str
    header: list[str]
    columns: dict[str, int]
    notes: tuple[str, ...]


def find_table_layout(text: TableText, named: Mapping[str, str | None] | None, root: Path) -> TableLayout:
    """Detect the separator and the columns of a table by its header.

    Args:
        text: the table.
        named: the configured columns by role; None for a role to ignore.
        root: directory that the paths are relative to.

    Raises:
        HeadstartError: when a column is missing or ambiguous; lists the columns of the table.
    """
    headers, broken = {}, None
    for separator in [text.separator] if text.separator else SEPARATORS:
        try:
            record = next(text.records(separator), None)
            if record:
                expect_closed_quotes(record, text.table, root, separator, set(range(len(record.values))))
        except HeadstartError as error:
            broken = broken or error
            continue
        headers[separator] = _without_empty_end([normalize_name(name) for name in record.values]) if record else []
    fitting = [separator for separator, header in headers.items() if _fits(header, named or {})]
    if broken and not fitting:
        raise broken
    separator = fitting[0] if fitting else max(headers, key=lambda candidate: len(headers[candidate]))
    header = headers[separator]
    if not fitting:
        _expect_names(text, separator, header, root)
    _expect_no_repeated(text.table, header)
    columns = _choose_columns(text, separator, header, named or {})
    return TableLayout(separator, header, columns, _notes(text.table, separator, header, columns, named or {}))


def _without_empty_end(header: list[str]) -> list[str]:
    """Return the names without trailing empty ones, which trailing separators create."""
    while header and not header[-1]:
        header = header[:-1]
    return header


def _fits(header: list[str], named: Mapping[str, str | None]) -> bool:
    """Return whether a header has a path and a label."""
    return all(named[role] in header if named.get(role) else _found(header, role) for role in ("path", "label"))


def _found(header: list[str], role: str) -> list[int]:
    """Return the positions of the columns with a usual name of a role."""
    names = [re.sub(r"[\W_]+", "_", name.casefold()).strip("_") for name in header]
    for usual in NAMES[role]:
        positions = [position for position, name in enumerate(names) if name in usual]
        if positions:
            return positions
    return []


def _expect_names(text: TableText, separator: str, header: list[str], root: Path) -> None:
    """Raise if the first row is not a header but the row of an image."""
    first = [
        name for name in header if name and (name.lower().endswith(IMAGE_EXTENSIONS) or os.path.isfile(root / name))
    ]
    if first:
        raise HeadstartError(
            f"Expected the column names in the first row of {text.table}, such as path{separator}label. "
            f"Received: {truncate(separator.join(header))}, where {first[0]} is an image",
            "put the names above it",
        )


def _expect_no_repeated(table: Path, header: list[str]) -> None:
    """Raise if two columns have the same name."""
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise HeadstartError(
            f"Expected every column of {table} to have a unique name. Received: {truncate(first_few(repeated))} more "
            f"than once in {truncate(','.join(header), MAX_HEADER_LENGTH)}"
        )


def _choose_columns(
    text: TableText, separator: str, header: list[str], named: Mapping[str, str | None]
) -> dict[str, int]:
    """Return the position of each role's column."""
    columns: dict[str, int] = {}
    for role in NAMES:
        if role in named:
            if named[role] is not None:
                expect_one_of(f"dataset.columns.{role}", normalize_name(str(named[role])), header, f" in {text.table}")
                columns[role] = header.index(normalize_name(str(named[role])))
            continue
        used = [header.index(name) for name in map(normalize_name, filter(None, named.values())) if name in header]
        found = [position for position in _found(header, role) if position not in used]
        if len(found) > 1:
            names = " and ".join(header[position] for position in found)
            raise HeadstartError(
                f"Expected one column for the {role} in {text.table}. Received: {names}",
                f"dataset.columns.{role}={shlex.quote(header[found[0]])} decides",
            )
        if found:
            columns[role] = found[0]
    missing = [role for role in ("path", "label") if role not in columns]
    if missing == ["label"]:
        _expect_one_label(text, separator, header, columns["path"])
    if missing:
        raise HeadstartError(
            f"Expected the columns path,label[,split][,group] in {text.table}, with a separator between them. "
            f"Received: {truncate(','.join(header), MAX_HEADER_LENGTH)}" + (f"; {WAY_OUT}" if len(header) > 1 else "")
        )
    if len(set(columns.values())) < len(columns):
        raise HeadstartError(
            "Expected separate columns for path, label, split and group. "
            f"Received: {', '.join(f'{role}: {header[position]}' for role, position in columns.items())}"
        )
    return columns


def _expect_one_label(text: TableText, separator: str, header: list[str], path: int) -> None:
    """Raise if a table has a one-hot column per class in place of a label column."""
    records = list(itertools.islice(text.records(separator), 1, 1 + SAMPLED_ROWS))
    classes = []
    for position, name in enumerate(header):
        values = {value.strip().lower() for record in records for value in record.values[position : position + 1]}
        if position != path and values <= ZEROS_AND_ONES and values != {""}:
            classes.append(name)
    if records and len(classes) > 1:
        raise HeadstartError(
            f"Expected one column with the label in {text.table}. Received: a column of zeros and ones for each class "
            f"({first_few(classes)})",
            "write the name of the class into a column label (in pandas: "
            "table[CLASSES].idxmax(axis=1)); images of several classes at once are not supported",
        )


def _notes(
    table: Path, separator: str, header: list[str], columns: dict[str, int], named: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Return a sentence on what the header decided, unless the table has the default layout."""
    chosen = [role for role, position in columns.items() if role not in named and header[position] != role]
    found = []
    if chosen:
        listed = ", ".join(f"{header[columns[role]]} as the {role}" for role in chosen)
        found.append(f"has {listed} (dataset.columns.{chosen[0]}=NAME names another column)")
    if separator != ",":
        found.append(f"has {SEPARATORS[separator]} between its fields")
    return (f"The table {table.name} {' and '.join(found)}",) if found else ()
