"""Send what runs logged while the tracking server was away: `headstart sync`, everything that waits.

headstart sync outputs/runs/DATE_TIME     one run
headstart sync outputs/sweeps/NAME        a sweep and its jobs

A run whose process died without a word is closed as KILLED; it can be gone on with all the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from headstart.cli.parser import CommandParser
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.core.process_lock import InUseError
from headstart.results.runs import RUNNING
from headstart.run.resume import locked
from headstart.sweep.results import mark_dead
from headstart.tracking import JournalInUseError, expect_address, pending_journals, send_pending


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, send what waits, and return the exit code."""
    options = build_parser().parse_args(arguments)
    if options.run and not options.run.is_dir():
        return _say(f"Expected the directory of a run or a sweep. Received: {options.run}")
    try:
        if options.tracking_uri:
            expect_address(options.tracking_uri, "--tracking-uri")
    except HeadstartError as error:
        return _say(str(error))
    dead = [file.parent for file in sorted((options.run or outputs_directory()).rglob(RUNNING)) if _close(file.parent)]
    files = pending_journals(options.run)
    if not files and not dead:
        console.print(f"Nothing waits in {options.run or outputs_directory()}", markup=False, soft_wrap=True)
    failures = [_send(file, options.tracking_uri) for file in files]
    return max(failures, default=0)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart sync", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path, help="directory of a run or a sweep (all among the outputs)")
    parser.add_argument("--tracking-uri", help="where the store is now (where the run was begun)")
    return parser


def _close(run: Path) -> bool:
    """Close a run whose process died, and return whether it was one; a run under way is left alone."""
    try:
        with locked(run):
            if not (run / RUNNING).exists():  # it has ended meanwhile
                return False
            mark_dead(run, "KILLED", "The process that ran it was killed.")
    except InUseError:
        _say_under_way(run)
        return False
    console.print(f"{run}: its process had died; the run is KILLED", markup=False, soft_wrap=True)
    return True


def _send(file: Path, uri: str | None) -> int:
    """Send what waits in a journal, say what became of it, and return the exit code."""
    run = file.parent.parent
    try:
        sent = send_pending(file, uri)
    except JournalInUseError:
        if not (run / RUNNING).exists():  # else it has been said
            _say_under_way(run)
        return 0
    except HeadstartError as error:
        return _say(f"{run}: {error}")
    closed = f"the run is {sent.status}" if sent.status else "the run has not ended"
    refused = f", {sent.refused} refused" if sent.refused else ""
    console.print(f"{run}: {sent.entries} entries sent{refused}; {closed}", markup=False, soft_wrap=True)
    return 0


def _say_under_way(run: Path) -> None:
    console.print(f"{run}: under way, sends by itself", markup=False, soft_wrap=True)


def _say(error: str) -> int:
    console.print(f"Error: {error}", markup=False, soft_wrap=True)
    return 1
