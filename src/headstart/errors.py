"""The one exception whose text is written for the person at the terminal."""


class HeadstartError(Exception):
    """A problem that the user can mend; shown as one sentence without a traceback.

    The message says what was expected, what was received, which file or key it was, and what to do.
    """


def expect_one_of(key: str, received: object, valid: list[str] | tuple[str, ...]) -> None:
    """Raise unless a value is among the valid ones.

    Args:
        key: the configuration key or argument that the value was given for.
        received: the value.
        valid: every value that would be accepted.

    Raises:
        HeadstartError: when `received` is not in `valid`.
    """
    if received not in valid:
        raise HeadstartError(f"Expected {key} to be one of {', '.join(map(str, valid))}. Received: {received}")
