"""How every program prints an error: what is wrong, and on a line of its own the tip."""

from __future__ import annotations

import sys

from rich.text import Text

from headstart.core.errors import HeadstartError, printable
from headstart.core.text_console import TextConsole


def print_error(error: HeadstartError | OSError | str) -> None:
    """Print an error to stderr, because another program may read stdout.

    Only a terminal gets colours, and none with NO_COLOR, and line breaks; in a log a line is whole, to be searched.

    Args:
        error: a text has no tip.
    """
    if isinstance(error, OSError):
        error = f"{error.strerror}: {error.filename}"
    problem, tip = (error.problem, error.tip) if isinstance(error, HeadstartError) else (printable(error), "")
    sys.stdout.flush()  # keep the order of what both streams show on a terminal
    terminal = TextConsole(stderr=True)
    terminal.print(Text.assemble(("error:", "red"), f" {problem}"))
    if tip:
        terminal.print(Text.assemble(("tip:", "cyan"), f" {tip}"))
