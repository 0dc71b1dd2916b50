"""The shared rich console, with headstart's style of progress bars and tables."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

Item = TypeVar("Item")

console = Console(highlight=False)


def progress_bar() -> Progress:
    """Return headstart's progress bar: the task, the progress, the time elapsed and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,  # a bar in a log file is noise; printed lines are not
    )


def track(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    """Yield the items while a progress bar counts them.

    Args:
        items: the items.
        total: number of items.
        description: a few words on the computation and its purpose.
    """
    with progress_bar() as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


def format_duration(seconds: float) -> str:
    """Return seconds as text in a convenient unit: `12 s`, `5 min`, `2.0 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def print_titled(title: str, table: Table) -> None:
    """Print a table below its title, which rich itself would wrap at the width of the table."""
    console.print(f"\n[bold]{escape(title)}[/]")
    console.print(table)


def print_to_stderr(text: str) -> None:
    """Print a line to stderr, because another program may read stdout."""
    sys.stdout.flush()  # keep the order of what both streams show on a terminal
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def allow_any_file_name() -> None:
    """Print characters that the terminal's encoding lacks as escapes, such as those of a file name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
