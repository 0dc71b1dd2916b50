"""The one exception whose text is written for the person at the terminal."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# What may stand in the name of a file and would do something to a terminal: end the line, colour it, turn it around.
# Surrogates stand for bytes that are no UTF-8, which neither a terminal nor a figure can show.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class HeadstartError(Exception):
    """A problem that the user can mend; shown as one sentence without a traceback.

    The message says what was expected, what was received, which file or key it was, and what to do.
    """

    def __init__(self, message: object) -> None:
        """Keep the message on one line, whatever the names in it hold."""
        super().__init__(visible(str(message)))


def visible(text: str) -> str:
    """Return a text on one line, with escapes for control characters and for bytes that are no text."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def expect_one_of(key: str, received: object, valid: Sequence[str], where: str = "") -> None:
    """Raise unless a value is among the valid ones.

    Args:
        key: the configuration key or argument that the value was given for.
        received: the value.
        valid: every value that would be accepted.
        where: the file the value stands in, when that is not plain.

    Raises:
        HeadstartError: when `received` is not in `valid`; names them all, and the closest one.
    """
    if received not in valid:
        similar = difflib.get_close_matches(str(received), valid, n=1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise HeadstartError(f"Expected {key} to be one of {', '.join(valid)}. Received: {received}{where}{hint}")
