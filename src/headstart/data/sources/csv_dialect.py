"""Reads the rows of a CSV file, whatever its encoding, separator and quotes, and explains what is malformed."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
BYTE_ORDER_MARKS = (  # longer ones first, because the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_SIGNATURES = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x1f\x8b": "compressed",
}
SAVE_AS_UTF8 = 'save it as UTF-8 ("CSV UTF-8" in a spreadsheet)'


class Record(NamedTuple):
    """One row of a table."""

    number: int  # of its first line, counted from 1
    lines: int  # number of lines
    values: list[str]


@dataclass(frozen=True)
class TableText:
    """The lines of a table, from its header on.

    Args:
        table: the file.
        lines: including line ends.
        skipped: number of lines before the header: comments, blank lines, a spreadsheet's `sep=;`.
        separator: named by a `sep=;` line, else None.
    """

    table: Path
    lines: list[str]
    skipped: int
    separator: str | None

    def records(self, separator: str) -> Iterator[Record]:
        """Yield the rows that are not blank, the header first.

        Args:
            separator: one character.

        Raises:
            HeadstartError: naming the row with an unclosed quote, or with a field that is too long for `csv`.
        """
        blank_before_quote = re.compile(f'{re.escape(separator)} +"')
        skip = any(blank_before_quote.search(line) for line in self.lines)
        reader = csv.reader(self.lines, delimiter=separator, strict=True, skipinitialspace=skip)
        while True:
            number = self.skipped + reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise HeadstartError(self._not_read(error, number, self.skipped + reader.line_num)) from error
            if any(value.strip() for value in values):
                yield Record(number, self.skipped + reader.line_num + 1 - number, values)

    def _not_read(self, error: csv.Error, first: int, last: int) -> str:
        """Return the message about a row that `csv` cannot read."""
        rows = f"row {first}" if first == last else f"the field that begins in row {first} and reaches row {last}"
        if "field limit" in str(error):
            return (
                f"Expected fields of at most {csv.field_size_limit():,} characters in {self.table}. Received: more in "
                f"{rows}; is a quote in row {first} not closed?"
            )
        problem = "the end of the file" if "end of data" in str(error) else f"{error}"
        return (
            f"Expected every quote in {self.table} to be closed before the next separator. Received: {problem} in "
            f'{rows}; close or remove the quote in row {first} (a quote within quotes is written twice: "")'
        )


def read_text(table: Path) -> TableText:
    """Return the lines of a table, which may be UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Args:
        table: the file.

    Raises:
        HeadstartError: when the file cannot be read, has another encoding, or contains a NUL byte.
    """
    if os.path.exists(table) and not os.path.isfile(table):  # reading a device would never end
        raise HeadstartError(f"Expected dataset.csv to be a file. Received: {table}, which is not a file")
    try:
        data = table.read_bytes()
    except OSError as error:
        raise HeadstartError(f"Expected dataset.csv to be a file. Received: {table} ({error.strerror})") from error
    other = next((what for mark, what in BINARY_SIGNATURES.items() if data.startswith(mark)), None)
    if other:
        raise HeadstartError(f"Expected dataset.csv to be text. Received: {table}, which is {other}", "save it as CSV")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise HeadstartError(_other_encoding(table, data, encoding, error)) from error
    lines = list(io.StringIO(text, newline=""))
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            half = data[:200].count(0) * 3 > len(data[:200])
            hint = f"it looks like UTF-16 without a byte order mark: {SAVE_AS_UTF8}" if half else "remove it"
            raise HeadstartError(f"Expected {table} to be text. Received: a NUL byte in row {number}", hint)
    start, separator = 0, None
    for line in lines:
        named = re.fullmatch(r"sep=([,;\t|])\s*", line) if separator is None else None
        if named:
            separator = named[1]
        elif line.strip() and not line.startswith("#"):
            break
        start += 1
    return TableText(table, lines[start:], start, separator)


def expect_closed_quotes(record: Record, table: Path, root: Path, separator: str, used: set[int]) -> None:
    """Raise if a field spans several lines that look like other rows, because a quote was not closed.

    Args:
        record: the row.
        table: the file.
        root: directory that its paths are relative to.
        separator: of the table.
        used: positions of the columns that are read; other columns may contain text of several lines with commas.

    Raises:
        HeadstartError: naming the row.
    """
    if record.lines == 1:
        return
    for position, value in enumerate(record.values):
        lines = value.splitlines()
        if len(lines) < 2 or os.path.isfile(root / value):  # a file name may contain a line break
            continue
        pieces = [piece.strip().strip('"') for line in lines for piece in line.split(separator)]
        if (position in used and len(pieces) > len(lines)) or any(_names_image(root, piece) for piece in pieces):
            raise HeadstartError(
                f"Expected every quote in {table} to be closed in its row. Received: a field that begins in row "
                f"{record.number} and holds the rows up to {record.number + record.lines - 1}",
                f"close or remove the quote in row {record.number}",
            )


def truncate(text: str, most: int = 120) -> str:
    """Return the first characters of a text for a message."""
    return text if len(text) <= most else f"{text[:most]}..."


def _names_image(root: Path, text: str) -> bool:
    return text.lower().endswith(IMAGE_EXTENSIONS) or (bool(text) and os.path.isfile(root / text))


def _other_encoding(table: Path, data: bytes, encoding: str, error: UnicodeDecodeError) -> str:
    """Return the message about a table that is not UTF-8, with the place and the probable encoding."""
    if encoding != "utf-8":
        return f"Expected {table} to be {encoding.upper()} as its byte order mark says. Received: {error.reason}"
    number = data[: error.start].count(b"\n") + 1
    line = data.splitlines()[number - 1] if number <= len(data.splitlines()) else b""
    latin = line.decode("cp1252", "replace").strip()
    return (
        f"Expected {table} to be encoded as UTF-8. Received: another encoding in row {number}, which as Windows-1252 "
        f"reads {truncate(latin)!r}; {SAVE_AS_UTF8}, or iconv -f WINDOWS-1252 -t UTF-8"
    )
