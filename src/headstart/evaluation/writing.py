"""What everything that writes tables and figures shares."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def letters_without_a_font() -> Iterator[None]:
    """Say nothing where no installed font has the letters of a name: the figure shows a box for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def open_table(file: Path) -> TextIO:
    """Open a CSV file to be written; file names of another encoding go through as they are."""
    return file.open("w", newline="", encoding="utf-8", errors="surrogateescape")
