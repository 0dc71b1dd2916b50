"""How the commands of `headstart` end with an error."""

from __future__ import annotations

from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError


def report_error(error: HeadstartError | OSError) -> int:
    """Print an error with its tip and return exit code 1."""
    print_error(error)
    return 1
