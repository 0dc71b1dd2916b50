"""The shared rich console, with headstart's style of progress bars and tables."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich import box
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from headstart.core.text_console import TextConsole

Item = TypeVar("Item")

console = TextConsole()


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


@contextmanager
def activity(text: str) -> Iterator[Callable[[str], None]]:
    """Show on the last line of a terminal what the program is doing; yield a function that changes the text.

    Args:
        text: a few words, as in `checking the images`.
    """
    if not console.is_terminal or console.quiet:
        yield lambda text: None
        return
    with console.status(escape(text)) as status:
        yield lambda text: status.update(escape(text))


@contextmanager
def quiet_console(quiet: bool = True) -> Iterator[None]:
    """Print nothing to the console for a while.

    Args:
        quiet: whether to; if not, this changes nothing.
    """
    before, console.quiet = console.quiet, console.quiet or quiet
    try:
        yield
    finally:
        console.quiet = before


def format_duration(seconds: float) -> str:
    """Return seconds as text in a convenient unit: `12 s`, `5 min`, `2.0 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_percent(share: float, digits: int = 1) -> str:
    """Return a share as text: `93.0 %`.

    Args:
        share: 0 to 1.
        digits: behind the point.
    """
    return f"{100 * share:.{digits}f} %"


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, as in `1 run` and `1,200 runs`.

    Args:
        number: 0 or more.
        noun: for one.
        plural: for all other numbers; None adds an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def short_path(path: str | Path) -> str:
    """Return a path as a command can use it: in quotes where it needs them, relative if it lies below this directory.

    Args:
        path: of a file or directory.
    """
    path, here = Path(path), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path != here and path.is_relative_to(here) else path))


def print_next(commands: Mapping[str, str]) -> None:
    """Print the commands that a person may want to run next.

    Args:
        commands: a few words on the purpose of each command, by command.
    """
    console.print("\n[bold]Next[/]")
    width = max(map(len, commands))
    if width + max(map(len, commands.values())) + 5 <= console.width:
        for command, purpose in commands.items():
            console.print(f"  {escape(command.ljust(width))}   [dim]{escape(purpose)}[/]")
        return
    for command, purpose in commands.items():  # a command that a line break cuts cannot be copied
        console.print(f"  [dim]{escape(purpose)}:[/]\n    {escape(command)}", soft_wrap=True)


def new_table(*columns: str, left: Collection[str] = ()) -> Table:
    """Return an empty table in headstart's style: a line below the titles, texts on the left, numbers on the right.

    Args:
        columns: titles; the first column holds text.
        left: titles of the other columns that hold text.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for position, column in enumerate(columns):
        text = position == 0 or column in left
        table.add_column(column, justify="left" if text else "right", overflow="fold")
    return table


def print_titled(title: str, table: Table) -> None:
    """Print a table below its title, which rich itself would wrap at the width of the table."""
    console.print(f"\n[bold]{escape(title)}[/]")
    console.print(table)


def print_to_stderr(text: str) -> None:
    """Print a line to stderr, because another program may read stdout."""
    sys.stdout.flush()  # keep the order of what both streams show on a terminal
    TextConsole(stderr=True).print(text, markup=False)


def allow_any_file_name() -> None:
    """Print characters that the terminal's encoding lacks as escapes, such as those of a file name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
