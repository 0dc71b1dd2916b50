"""Send entries that runs logged while the tracking server was down.

headstart sync                            all runs
headstart sync outputs/runs/DATE_TIME     one run
headstart sync outputs/sweeps/NAME        a sweep and its jobs

Marks runs whose process died as KILLED; you can still resume them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from headstart.cli.errors import report_error
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
    """Send the pending entries and return the exit code."""
    options = build_parser().parse_args(arguments)
    if options.run and not options.run.is_dir():
        return report_error(HeadstartError(f"Expected the directory of a run or a sweep. Received: {options.run}"))
    try:
        if options.tracking_uri:
            expect_address(options.tracking_uri, "--tracking-uri")
    except HeadstartError as error:
        return report_error(error)
    dead = [file.parent for file in sorted((options.run or outputs_directory()).rglob(RUNNING)) if _close(file.parent)]
    files = pending_journals(options.run)
    if not files and not dead:
        console.print(f"Nothing to send in {options.run or outputs_directory()}", markup=False)
    failures = [_send(file, options.tracking_uri) for file in files]
    return max(failures, default=0)


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(
        prog="headstart sync", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", type=Path, help="directory of a run or a sweep (default: all outputs)")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="send to this tracking store (default: the one that the run began with)"
    )
    return parser


def _close(run: Path) -> bool:
    """Mark a run whose process died as KILLED and return True; leave a run in progress alone and return False."""
    try:
        with locked(run):
            if not (run / RUNNING).exists():  # it has just ended
                return False
            mark_dead(run, "KILLED", "The process of this run was killed.")
    except InUseError:
        _say_under_way(run)
        return False
    console.print(f"{run}: the process of this run died; marked as KILLED", markup=False)
    return True


def _send(file: Path, uri: str | None) -> int:
    """Send the pending entries of a journal, print the outcome, and return the exit code."""
    run = file.parent.parent
    try:
        sent = send_pending(file, uri)
    except JournalInUseError:
        if not (run / RUNNING).exists():  # otherwise `_close` has printed it
            _say_under_way(run)
        return 0
    except HeadstartError as error:
        return report_error(HeadstartError(f"{run}: {error}"))
    closed = f"the run is {sent.status}" if sent.status else "the run has not ended"
    refused = f", {sent.refused} refused" if sent.refused else ""
    console.print(f"{run}: sent {sent.entries} entries{refused}; {closed}", markup=False)
    return 0


def _say_under_way(run: Path) -> None:
    console.print(f"{run}: still running, sends its entries itself", markup=False)
