"""Ends a sweep: reports its jobs, compares its runs, closes the parent run, and returns the exit code."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

from headstart.core.console import console, count_of, print_next, short_path
from headstart.core.process_lock import Lock
from headstart.sweep.job_reporter import JobReporter
from headstart.sweep.parent import track_sweep
from headstart.sweep.record import UNFINISHED, Sweep
from headstart.tracking import continue_run, count_pending, pending_journals, report_refused_entries

if TYPE_CHECKING:
    from headstart.comparison import Comparison

RUNNING: list[tuple[Sweep, Lock, JobReporter]] = []  # the sweep that this process launched; at most one
WARNED: set[str] = set()  # reasons that `warn_about_unreadable_images` has printed


def register_sweep(sweep: Sweep, lock: Lock) -> None:
    """Report the jobs of a sweep that this process launches, until `finish_sweep` is called.

    Args:
        sweep: with its parent run.
        lock: on its directory.
    """
    reporter = JobReporter(sweep)
    reporter.start()
    RUNNING.append((sweep, lock, reporter))


def report_ended_jobs() -> None:
    """Print the jobs that have ended now, before anything else is printed."""
    for _, _, reporter in RUNNING:
        reporter.report_ended_jobs()


def finish_sweep(interrupted: bool = False) -> int:
    """Close the sweep that this process launched, if any, and return the exit code.

    Args:
        interrupted: whether the user or the system stopped the sweep.
    """
    if not RUNNING:
        return 0
    sweep, lock, reporter = RUNNING.pop()
    reporter.finish()
    ended = sweep.ended()
    failed = [entry for entry in ended.values() if entry["event"] in UNFINISHED]
    complete = sweep.jobs is None or len(ended) == sweep.jobs
    status = "KILLED" if interrupted else "FINISHED" if complete and not failed else "FAILED"
    _print_end(sweep, ended)
    parent = continue_run(sweep.path)  # None if it was deleted from the store
    try:
        comparison = _compare(sweep)
        if parent is not None:
            track_sweep(sweep, parent, ended, comparison)
    finally:
        if parent is not None:
            parent.end(status)
            parent.close()
        lock.release()
    report_refused_entries(sorted(sweep.path.glob("*/tracking/*.jsonl")))
    commands = {}
    pending = sum(count_pending(file) for file in pending_journals(sweep.path))
    if pending:
        commands = {f"headstart sync {short_path(sweep.path)}": "send what the tracking store has not received"}
    if comparison is not None:
        commands |= {"headstart predict best IMAGE_OR_FOLDER": "label your images with the best run"}
    commands |= {f"headstart ui {shlex.quote(sweep.name)}": "see the sweep in MLflow"}
    if comparison is not None:
        commands |= {f"headstart compare {shlex.quote(sweep.name)} --format latex": "the table for a paper"}
    print_next(commands)
    return 0 if status == "FINISHED" else 1


def _print_end(sweep: Sweep, ended: dict[int, dict[str, Any]]) -> None:
    """Print the number of jobs by outcome, and each job that did not finish."""
    counts = {
        word: sum(entry["event"] == event for entry in ended.values())
        for event, word in (
            ("finished", "finished"),
            ("found", "done before"),
            ("failed", "failed"),
            ("killed", "interrupted"),
            ("not started", "not started"),
            ("in progress", "already running"),
            ("kept", "kept without checking their images"),
        )
    }
    text = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    console.print(f"\n[bold]Sweep {sweep.name}[/]: {text or 'no job was started'}")
    kept = Counter(entry["error"] for entry in ended.values() if entry["event"] == "kept")
    for reason, count in kept.items():
        warn_about_unreadable_images(count, reason)
    reasons: dict[str, list[str]] = {}
    for entry in ended.values():
        if entry["event"] in UNFINISHED and entry["event"] != "kept":
            reasons.setdefault(entry.get("error") or entry["event"], []).append(entry["label"])
    for reason, labels in reasons.items():
        jobs = count_of(len(labels), "job")
        console.print(f"{jobs} without a result: {reason}", markup=False, style="red")
        console.print(f"  {', '.join(labels)}", markup=False)
    if reasons:
        console.print("The same command runs only these jobs again.")


def warn_about_unreadable_images(count: int, reason: str) -> None:
    """Warn, once per reason, that the images of finished or resumable jobs cannot be read.

    Args:
        count: number of jobs.
        reason: why the images cannot be read.
    """
    if reason not in WARNED:
        WARNED.add(reason)
        text = f"The images of {count} earlier jobs cannot be read, so those jobs are left as they are: {reason}"
        console.print(f"Warning: {text}", markup=False)


def _compare(sweep: Sweep) -> Comparison | None:
    """Compare the runs of the sweep, in the terminal and on a page; None if no run was evaluated."""
    from headstart.comparison import compare, read_runs

    runs = read_runs(sweep.path)
    if not any(run.results.splits for run in runs):
        return None
    comparison = compare(runs, sweep.path / "comparison", f"Sweep {sweep.name}")
    comparison.print(console, of_sweep=True)
    return comparison
