"""List, verify or prune the cache of images, activations of frozen layers and trials: `headstart cache list`.

Runs can recompute everything in the cache, and running ones continue when you remove something that they read.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.filesize import decimal
from rich.markup import escape

from headstart.cache.contents import uses_of
from headstart.cache.segments import DamagedError, remove_segment, segment_files
from headstart.cache.store import Cache
from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.core.console import console, count_of, new_table, print_next, print_titled, track
from headstart.core.errors import HeadstartError
from headstart.core.paths import TRIALS, cache_directory

OURS = ("checked", "datasets", "tables", TRIALS)  # directories in the cache directory
DAY = 24 * 60 * 60  # seconds


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 1 for unrepaired damage and for errors that the user can fix."""
    options = build_parser().parse_args(arguments)
    directory = cache_directory()
    try:
        if directory.exists() and not directory.is_dir():
            raise HeadstartError(f"Expected the cache, HEADSTART_CACHE, to be a directory. Received: {directory}")
        return options.command(directory, options)
    except (HeadstartError, OSError) as error:
        return report_error(error)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart cache", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("list", help="list the cached tables, one line each")
    show.set_defaults(command=show_tables)

    check = commands.add_parser("verify", help="read every file and report damaged ones")
    check.add_argument(
        "--repair", action="store_true", help="remove damaged files; the next run recomputes their contents"
    )
    check.set_defaults(command=verify)

    remove = commands.add_parser("prune", help="free disk space, least recently used first")
    bound = remove.add_mutually_exclusive_group(required=True)
    bound.add_argument("--max-gb", type=float, metavar="N", help="remove until the cache has at most N GB")
    bound.add_argument("--older-than", type=float, metavar="DAYS", help="remove tables that no run used for DAYS days")
    bound.add_argument("--trials", action="store_true", help="remove only the results of trials of strategies")
    bound.add_argument("--all", action="store_true", help="remove everything")
    remove.set_defaults(command=prune)
    return parser


def show_tables(directory: Path, options: argparse.Namespace) -> int:
    """Print the contents and size of each table, and other directories in the cache directory."""
    uses = sorted(uses_of(Cache(directory / "tables", math.inf)), key=lambda use: -use.used)
    table = new_table("contents", "rows", "on disk", "last used", left=("last used",))
    for use in uses:
        used = datetime.fromtimestamp(use.used).strftime("%Y-%m-%d %H:%M") if use.used else ""
        contents = f"{use.what}, {use.images}" if use.images else use.what
        table.add_row(escape(contents), f"{use.rows:,}", decimal(use.size), used)
    table.columns[-1].no_wrap = True
    if uses:
        print_titled(f"Cache in {directory}", table)
    else:
        console.print(f"  The cache in {directory} is empty", markup=False)
    if directory.exists():
        if trials := list(trials_of(directory)):
            results = count_of(len(trials), "result")
            console.print(f"  {results} of trials, of scenario=auto or headstart recommend")
        disk = shutil.disk_usage(directory)
        total = decimal(sum(use.size for use in uses))
        console.print(f"  {total} in total; {decimal(disk.free)} of {decimal(disk.total)} are free on this disk")
        for other in unknown_directories(directory):
            console.print(f"  {other}: {decimal(size_of(other))}, not headstart's", markup=False)
    if uses:
        print_next({"headstart cache prune --older-than 30": "remove what no run used for 30 days"})
    return 0


def verify(directory: Path, options: argparse.Namespace) -> int:
    """Read every table and print the damaged files; with `--repair` remove them."""
    cache = Cache(directory / "tables", math.inf)
    damaged = tables = 0
    for place in track(cache.tables(), len(cache.tables()), "reading the cache"):
        try:
            found = list(cache.open_table(place).damaged())
        except FileNotFoundError:  # another process has removed it since it was listed
            continue
        except DamagedError as error:  # without table.json its rows are unknown
            files = segment_files(place)
            found = [(place / "table.json", str(error)), *((file, f"{file} belongs to it") for file in files)]
        tables += 1
        damaged += len(found)
        for file, problem in found:
            console.print(f"  {problem}", markup=False)
            if options.repair and file.name != "table.json":
                remove_segment(file)
    if options.repair:
        cache.remove_empty_tables()
    ending = " and removed; the next run recomputes them" if options.repair else "; --repair removes them"
    console.print(f"  {tables} tables read, {damaged} files damaged{ending if damaged else ''}")
    return 1 if damaged and not options.repair else 0


def prune(directory: Path, options: argparse.Namespace) -> int:
    """Remove tables by size, age or all of them, trials by age or all of them, and print what was removed."""
    for name in ("max_gb", "older_than"):
        value = getattr(options, name)
        if value is not None and not value >= 0:  # nor NaN
            raise HeadstartError(f"Expected --{name.replace('_', '-')} to be 0 or more. Received: {value:g}")
    if options.trials:
        forget_trials(directory, time.time())
        return 0
    cache = Cache(directory / "tables", 0 if options.all else math.inf)
    if options.max_gb is not None:
        cache.max_bytes = options.max_gb * 1e9
    before = list(uses_of(cache))
    unused_since = 0.0 if options.older_than is None else time.time() - options.older_than * DAY
    removed = cache.prune(unused_since)
    forget_trials(directory, time.time() if options.all else unused_since)
    left = {use.directory: use.size for use in uses_of(cache)}
    for use in before:
        if size := use.size - left.get(use.directory, 0):
            what = f"{use.what}, {use.images}" if use.images else use.what
            console.print(f"  removed {decimal(size)} of {decimal(use.size)}: {what}", markup=False)
    console.print(f"  {decimal(removed)} removed, {decimal(sum(left.values()))} kept in {directory}")
    return 0


def forget_trials(directory: Path, made_before: float) -> None:
    """Remove the results of trials that were made before a time, in seconds since the epoch; print how many."""
    old = [file for file in trials_of(directory) if file.stat().st_mtime < made_before]
    for file in old:
        file.unlink(missing_ok=True)
    if old:
        console.print(f"  removed {count_of(len(old), 'result')} of trials; the next command tries strategies again")


def trials_of(directory: Path) -> Iterator[Path]:
    """Return the files with the results of trials."""
    return (directory / TRIALS).glob("*.json")


def unknown_directories(directory: Path) -> list[Path]:
    """Return the directories in the cache directory that are not part of the cache."""
    return sorted(other for other in directory.iterdir() if other.is_dir() and other.name not in OURS)


def size_of(directory: Path) -> int:
    """Return the bytes of all files below a directory."""
    return sum(file.lstat().st_size for file in directory.rglob("*") if file.is_file())
