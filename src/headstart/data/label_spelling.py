"""Normalizes names for comparison: without surrounding blanks, invisible characters and encodings of accents."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def normalize_name(text: str) -> str:
    """Return a name with composed accents (NFC), without surrounding blanks and invisible characters."""
    if text.isascii():
        return text.strip()
    composed = unicodedata.normalize("NFC", text)
    shown = [position for position, letter in enumerate(composed) if not (letter.isspace() or _invisible(letter))]
    return composed[shown[0] : shown[-1] + 1] if shown else ""


def comparison_key(text: str) -> str:
    """Return a key that is equal for names that look the same, whatever their blanks and invisible characters."""
    return " ".join("".join(letter for letter in normalize_name(text) if not _invisible(letter)).split())


def quoted(names: Iterable[str]) -> list[str]:
    """Return names in quotes; escape non-ASCII characters in all of them if two would look the same."""
    listed = list(names)
    shown = [repr(name) for name in listed]
    different = {unicodedata.normalize("NFC", text) for text in shown}
    return shown if len(different) == len(set(listed)) else [ascii(name) for name in listed]


def _invisible(letter: str) -> bool:
    """Return whether a character is invisible, such as a zero-width space; tags, which form emoji of flags, are not."""
    return unicodedata.category(letter) == "Cf" and not "\U000e0000" <= letter <= "\U000e007f"
