"""Excludes the images that a table lists, such as the findings of an audit that a person has confirmed."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_file
from headstart.data.index import first_few
from headstart.data.sources.listing import Listing


def exclude_images(listing: Listing, table: str | None) -> Listing:
    """Return the listing without the images that a table lists.

    Args:
        listing: the images.
        table: a CSV file with the column `path`, relative to the root; other columns are ignored. None excludes
            nothing.

    Raises:
        HeadstartError: when the table cannot be read, or none of its images exists.
    """
    if table is None:
        return listing
    listed = excluded_paths(exclusion_file(table))
    existing = {row.path for row in listing.rows}
    absent = sorted(listed - existing)
    if listed and len(absent) == len(listed):
        raise HeadstartError(
            f"Expected dataset.exclude to list images below {listing.root}, relative to it. "
            f"Received: {table}, none of whose {len(listed):,} paths exists, {first_few(absent, 3)}"
        )
    left_out = len(listed) - len(absent)
    notes = [f"dataset.exclude={table} left {left_out:,} {'image' if left_out == 1 else 'images'} out"]
    if absent:
        notes.append(f"dataset.exclude={table} lists images that do not exist ({len(absent):,}): {first_few(absent)}")
    return replace(
        listing, rows=[row for row in listing.rows if row.path not in listed], notes=(*listing.notes, *notes)
    )


def exclusion_file(table: str) -> Path:
    """Return the absolute path of the table; `~` is the home directory."""
    return Path(table).expanduser().absolute()


def excluded_paths(table: Path) -> set[str]:
    """Return the set of paths that a table lists.

    Args:
        table: the CSV file, UTF-8, with a header.

    Raises:
        HeadstartError: when the table cannot be read, or a row has no path.
    """
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file)
            if "path" not in (reader.fieldnames or []):
                raise HeadstartError(
                    f"Expected dataset.exclude to be a CSV file with the column path. Received: {table} with "
                    f"{', '.join(reader.fieldnames or []) or 'no columns'}"
                )
            paths = set()
            for row in reader:
                if not row["path"]:
                    raise HeadstartError(f"Expected a path in row {reader.line_num} of {table}. Received: nothing")
                paths.add(row["path"])
            return paths
    except csv.Error as error:
        raise HeadstartError(f"Expected dataset.exclude to be a CSV file. Received: {table} ({error})") from error
    except OSError as error:
        raise HeadstartError(f"Expected dataset.exclude to be a file. Received: {table} ({error.strerror})") from error


def record_exclusion(table: str, directory: Path) -> dict[str, str]:
    """Copy the table into a run's directory, and return its entry in the data report.

    Args:
        table: as in the configuration.
        directory: created within the directory of the run.
    """
    directory.mkdir(exist_ok=True)
    data = exclusion_file(table).read_bytes()
    with atomic_file(directory / "excluded.csv") as file:
        file.write(data)
    return {"file": table, "copy": f"{directory.name}/excluded.csv", "digest": hashlib.sha256(data).hexdigest()}
