"""What a person sees while headstart works: one console, one style of progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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
