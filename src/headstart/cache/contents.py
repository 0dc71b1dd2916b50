"""What a cache holds, a line for each table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.cache.segments import DamagedError, segment_sizes
from headstart.cache.store import Cache


@dataclass(frozen=True)
class Use:
    """What one table takes on disk."""

    directory: Path
    what: str
    images: str  # their size
    row: str  # its shape and type
    rows: int
    size: int  # bytes
    used: float  # when it was used last, seconds since the epoch; 0 when nothing is there


def uses_of(cache: Cache) -> list[Use]:
    """Return the content, size and last use of each table."""
    uses = []
    for directory in cache.tables():
        found = list(segment_sizes(directory))
        size, used = sum(size for _, size, _ in found), max((used for used, _, _ in found), default=0) / 1e9
        try:
            table = cache.open_table(directory)
        except FileNotFoundError:  # another process has removed it since it was listed
            continue
        except DamagedError:
            uses.append(Use(directory, "table.json is damaged", "", "", 0, size, used))
            continue
        description = table.description
        measured = description.get("what") == "measurements"
        images = "" if measured else f"{description.get('image_size')} px, {description.get('resize')}"
        row = f"{' x '.join(map(str, table.shape))} {table.dtype}"
        uses.append(Use(directory, describe(description), images, row, size // table.row_bytes, size, used))
    return uses


def describe(description: dict[str, Any]) -> str:
    """Describe the content of a table."""
    if description.get("what") == "images":
        return "decoded images"
    if description.get("what") == "measurements":
        return "thumbnails and figures of audits"
    views = ", augmented views" if description.get("augmentation") else ""
    return f"{description.get('backbone')} up to {description.get('cut')}{views}"
