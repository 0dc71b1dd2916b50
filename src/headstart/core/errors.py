"""The exception for problems that the user can fix, and its checks and escapes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# File names may contain characters that make a terminal break the line, change colour or reverse the text. Surrogates
# stand for bytes that are not UTF-8, which neither a terminal nor a figure can show.
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class HeadstartError(Exception):
    """A problem that the user can fix; headstart prints its message without a traceback.

    The message says what was expected, what was received, which file or key is wrong, and how to fix it.
    """

    def __init__(self, message: object) -> None:
        """Store the message as one line, even if it quotes names with control characters."""
        super().__init__(printable(str(message)))


def printable(text: str) -> str:
    """Return the text on one line, with control characters and undecodable bytes escaped."""
    return CONTROL_CHARACTERS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def expect_one_of(key: str, received: object, valid: Sequence[str], where: str = "") -> None:
    """Raise unless a value is one of the valid ones.

    Args:
        key: the configuration key or argument with the value.
        received: the value.
        valid: all accepted values.
        where: text that locates the value, such as the file it comes from.

    Raises:
        HeadstartError: when `received` is not in `valid`; lists all valid values and suggests the closest one.
    """
    if received not in valid:
        similar = difflib.get_close_matches(str(received), valid, n=1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise HeadstartError(f"Expected {key} to be one of {', '.join(valid)}. Received: {received}{where}{hint}")
