"""What a person sees while headstart works: one console, one style of progress bar."""

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
    """Return the progress bar used everywhere: what is done, how far, how long still."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,  # a bar in a log file is noise; the lines printed beside it stay
    )


def track(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    """Yield the items while a bar shows how many are done and the time left.

    Args:
        items: anything to go through.
        total: how many items there are.
        description: what is being computed and why, a few words.
    """
    with progress_bar() as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


def duration(seconds: float) -> str:
    """Return seconds in the unit in which a person would say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def print_titled(title: str, table: Table) -> None:
    """Print a table below its title; rich would wrap a title at the width of the table."""
    console.print(f"\n[bold]{escape(title)}[/]")
    console.print(table)


def print_to_stderr(text: str) -> None:
    """Print a line beside the answer of a program, which another program may read."""
    sys.stdout.flush()  # what was printed before it stays before it
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def allow_any_file_name() -> None:
    """Let the names of files be printed that are in another encoding than the terminal's."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
