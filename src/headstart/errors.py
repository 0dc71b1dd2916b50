"""The one exception whose text is written for the person at the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class HeadstartError(Exception):
    """A problem that the user can mend; shown as one sentence without a traceback.

    The message says what was expected, what was received, which file or key it was, and what to do.
    """


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
