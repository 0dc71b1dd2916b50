"""How the commands of `headstart` print an error."""

from __future__ import annotations

from headstart.core.console import console
from headstart.core.errors import HeadstartError


def report_error(error: HeadstartError | OSError) -> int:
    """Print an error in one line and return exit code 1."""
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    console.print(f"Error: {text}", markup=False, soft_wrap=True)
    return 1
