"""The end of a sweep: what became of its jobs, the parent run, the comparison, the exit code."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

from headstart.core.console import console, print_titled
from headstart.core.process_lock import Lock
from headstart.sweep.lines import Lines
from headstart.sweep.record import FINISHED, UNFINISHED, Sweep
from headstart.tracking import Tracker, continue_run, count_pending, pending_journals, report_refused_entries

if TYPE_CHECKING:
    from headstart.comparison import Comparison

UNDER_WAY: list[tuple[Sweep, Lock, Lines]] = []  # of this process, the one that launches; at most one
SAID: set[str] = set()  # why images of earlier jobs cannot be read


def remember(sweep: Sweep, lock: Lock) -> None:
    """Keep the sweep that this process launches until `finish` is called, and say how its jobs end.

    Args:
        sweep: that has its parent run.
        lock: on its directory.
    """
    lines = Lines(sweep)
    lines.start()
    UNDER_WAY.append((sweep, lock, lines))


def catch_up() -> None:
    """Say at once how the jobs ended that are over, before something else is said about them."""
    for _, _, lines in UNDER_WAY:
        lines.catch_up()


def finish(interrupted: bool = False) -> int:
    """Close the sweep that this process launched, if there is one, and return the exit code.

    Args:
        interrupted: whether it was ended before its time.
    """
    if not UNDER_WAY:
        return 0
    sweep, lock, lines = UNDER_WAY.pop()
    lines.finish()
    ended = sweep.ended()
    failed = [entry for entry in ended.values() if entry["event"] in UNFINISHED]
    complete = sweep.jobs is None or len(ended) == sweep.jobs
    status = "KILLED" if interrupted else "FINISHED" if complete and not failed else "FAILED"
    _print_end(sweep, ended)
    parent = continue_run(sweep.path)  # None where the store has lost it
    try:
        comparison = _compare(sweep)
        if parent is not None:
            _track(sweep, parent, ended, comparison)
    finally:
        if parent is not None:
            parent.end(status)
            parent.close()
        lock.release()
    report_refused_entries(sorted(sweep.path.glob("*/tracking/*.jsonl")))
    waiting = sum(count_pending(file) for file in pending_journals(sweep.path))
    if waiting:
        console.print(
            f"{waiting} entries wait for the tracking store. When it answers again:\n"
            f"  python scripts/sync.py {shlex.quote(sweep.directory)}",
            markup=False,
            soft_wrap=True,
        )
    return 0 if status == "FINISHED" else 1


def _print_end(sweep: Sweep, ended: dict[int, dict[str, Any]]) -> None:
    """Print how many jobs ended how, and each one that did not finish."""
    counts = {
        word: sum(entry["event"] == event for entry in ended.values())
        for event, word in (
            ("finished", "finished"),
            ("found", "done before"),
            ("failed", "failed"),
            ("killed", "interrupted"),
            ("not started", "not started"),
            ("in progress", "in progress already"),
            ("kept", "kept without a look at their images"),
        )
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    console.print(f"\n[bold]Sweep {sweep.name}[/]: {said or 'no job was started'}", soft_wrap=True)
    kept = Counter(entry["error"] for entry in ended.values() if entry["event"] == "kept")
    for reason, count in kept.items():
        print_kept_sweep(count, reason)
    lost = [entry for entry in ended.values() if entry["event"] in UNFINISHED and entry["event"] != "kept"]
    if lost:
        table = Table()
        for name in ("job", "", "what happened"):
            table.add_column(name, overflow="fold")
        for entry in lost:
            table.add_row(str(entry["job"]), entry["label"], entry.get("error") or entry["event"])
        print_titled("Jobs without a result (the same command runs them again, and only them)", table)
    console.print(f"Directory: {sweep.directory}", markup=False, soft_wrap=True)


def print_kept_sweep(count: int, reason: str) -> None:
    """Say once that the images of jobs cannot be read, which were done or can be resumed.

    Args:
        count: how many jobs.
        reason: why the images cannot be read.
    """
    if reason not in SAID:
        SAID.add(reason)
        text = f"The images of {count} earlier jobs cannot be read, so those jobs are left as they are: {reason}"
        console.print(f"Warning: {text}", markup=False, soft_wrap=True)


def _compare(sweep: Sweep) -> Comparison | None:
    """Compare the runs of the sweep, in the terminal and on a page; None where nothing was evaluated."""
    from headstart.comparison import compare, runs_below

    runs = runs_below(sweep.path)
    if not any(run.results.splits for run in runs):
        return None
    comparison = compare(runs, sweep.path / "comparison", f"Sweep {sweep.name}")
    comparison.print(console)
    return comparison


def _track(sweep: Sweep, parent: Tracker, ended: dict[int, dict[str, Any]], comparison: Comparison | None) -> None:
    """Show on the page of the parent run what became of the jobs, and their comparison."""
    if comparison is not None:
        parent.log_files([comparison.page, *comparison.files], "comparison")
        parent.describe(f"{comparison.markdown}\n\n`{sweep.command}`", {})
    parent.log_metrics(
        {
            "jobs": float(len(ended)),
            "jobs_finished": float(sum(entry["event"] in FINISHED for entry in ended.values())),
            "jobs_failed": float(sum(entry["event"] in ("failed", "killed") for entry in ended.values())),
        }
    )
