"""How every program of headstart starts and ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from headstart.core.console import allow_any_file_name
from headstart.core.paths import fix_directories


def prepare_program() -> None:
    """Set what only a program may set: where relative paths lie, and that nobody looks at the figures it draws."""
    fix_directories()
    os.environ["MPLBACKEND"] = "agg"


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a program and end with its exit code; Ctrl-C is no error of ours.

    Args:
        main: reads the command line and returns the exit code.
    """
    allow_any_file_name()
    prepare_program()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
