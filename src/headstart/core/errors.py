"""The exception for problems that the user can fix, with a tip, and its checks and escapes."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# File names may contain characters that make a terminal break the line, change colour or reverse the text. Surrogates
# stand for bytes that are not UTF-8, which neither a terminal nor a figure can show.
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

SIMILAR = 0.65  # of `difflib`; at its own 0.6, evil resembles device


class HeadstartError(Exception):
    """A problem that the user can fix; headstart prints it and its tip, without a traceback.

    As text, in logs and stored results, it is one sentence of both.
    """

    def __init__(self, problem: object, tip: object = "") -> None:
        """Store both parts as one line each, even if they quote names with control characters.

        Args:
            problem: what was expected and what was received, with the file or key that is wrong.
            tip: what to do, in a few words, with a command or a value to copy; empty if the problem says it all.
        """
        self.problem, self.tip = printable(str(problem)), printable(str(tip))
        super().__init__(self.problem, *([self.tip] if self.tip else []))  # what `pickle` makes it anew from

    def __str__(self) -> str:
        """Return both parts."""
        separator = " " if self.problem.endswith(".") else "; "
        return f"{self.problem}{separator}{self.tip}" if self.tip else self.problem


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
        raise HeadstartError(
            f"Expected {key} to be one of {', '.join(valid)}. Received: {received}{where}",
            did_you_mean(received, valid),
        )


@contextlib.contextmanager
def expect_writable(output: Path, kind: str = "file", argument: str = "") -> Iterator[None]:
    """Turn what prevents writing within this context into an error that names the output.

    Args:
        output: what the user asked for.
        kind: file or directory.
        argument: of the command, that gives the output.

    Raises:
        HeadstartError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        expected = f"{argument} to be a writable {kind}" if argument else f"a writable {kind}"
        raise HeadstartError(f"Expected {expected}. Received: {output} ({error.strerror or error})") from error


def did_you_mean(received: object, valid: Iterable[str]) -> str:
    """Return the question whether the closest valid name is meant; empty if none is close.

    Args:
        received: the wrong name.
        valid: the valid names.
    """
    similar = closest_name(received, valid)
    return f"did you mean {similar}?" if similar else ""


def closest_name(received: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that is closest to a wrong one, whatever its case and hyphens; None if none is close.

    Args:
        received: the wrong name.
        valid: the valid names.
    """
    names = {_plain(name): name for name in valid}
    wrong = _plain(str(received))
    similar = difflib.get_close_matches(wrong, names, n=3, cutoff=SIMILAR)
    turned = [name for name in similar if sorted(name) == sorted(wrong)]  # vgg61
    return names[[*turned, *similar][0]] if similar else None


def closest_flag(received: str, valid: Iterable[str]) -> str | None:
    """Return the long flag that is closest to a wrong one; None if none is close.

    Args:
        received: the wrong flag.
        valid: the valid flags; short ones are left out, which resemble everything.
    """
    similar = closest_name(received.strip("-"), [flag.removeprefix("--") for flag in valid if flag.startswith("--")])
    return similar and f"--{similar}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
