"""How names are compared: without anything that nobody sees, such as blanks around them or the encoding of accents."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def spelled(text: str) -> str:
    """Return a name with composed accents (NFC), without blanks and invisible characters around it."""
    if text.isascii():
        return text.strip()
    composed = unicodedata.normalize("NFC", text)
    seen = [position for position, letter in enumerate(composed) if not (letter.isspace() or _invisible(letter))]
    return composed[seen[0] : seen[-1] + 1] if seen else ""


def comparable(text: str) -> str:
    """Return what names are compared by: as `spelled`, each run of blanks as one, without invisible characters."""
    return " ".join("".join(letter for letter in spelled(text) if not _invisible(letter)).split())


def quoted(names: Iterable[str]) -> list[str]:
    """Return names in quotes, with escapes wherever two of them would look the same."""
    listed = list(names)
    shown = [repr(name) for name in listed]
    different = {unicodedata.normalize("NFC", text) for text in shown}
    return shown if len(different) == len(set(listed)) else [ascii(name) for name in listed]


def _invisible(letter: str) -> bool:
    """Tell zero-width spaces, joiners, marks of direction and the like; tags are not, which make flags of emoji."""
    return unicodedata.category(letter) == "Cf" and not "\U000e0000" <= letter <= "\U000e007f"
