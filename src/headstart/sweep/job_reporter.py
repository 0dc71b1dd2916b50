"""Prints one line for each job of a sweep that has ended, on this machine or another one."""

from __future__ import annotations

import threading
from textwrap import shorten
from typing import Any

from headstart.core.console import console, format_duration
from headstart.sweep.record import ENDED, Sweep

LONGEST_REASON = 80  # characters of why a job failed
POLL_INTERVAL = 0.3  # seconds between two reads of the journal
EVENT_TEXTS = {
    "found": "done before",
    "finished": "finished",
    "failed": "failed",
    "killed": "interrupted",
    "in progress": "not started",  # the error says why
}


class JobReporter(threading.Thread):
    """Follows the journal of a sweep in a thread and prints a line for each job that ends."""

    def __init__(self, sweep: Sweep) -> None:
        """Create the thread; `start` starts it.

        Args:
            sweep: whose journal is followed; entries of earlier launches are skipped.
        """
        super().__init__(daemon=True)
        self.sweep = sweep
        self.known: dict[tuple[str, int], dict[str, Any]] = {}  # by event and job, in order of arrival
        self.stopped, self.printing = threading.Event(), threading.Lock()

    def run(self) -> None:
        """Follow the journal until `finish` is called."""
        while not self.stopped.wait(POLL_INTERVAL):
            self.report_ended_jobs()

    def finish(self) -> None:
        """Stop the thread and print the remaining jobs."""
        self.stopped.set()
        self.join()
        self.report_ended_jobs()

    def report_ended_jobs(self) -> None:
        """Print every ended job that has not been printed yet."""
        with self.printing:
            for entry in self.sweep.journal():
                if (entry["event"], entry["job"]) in self.known:
                    continue
                self.known[entry["event"], entry["job"]] = entry
                if entry["event"] in EVENT_TEXTS:
                    style = "red" if entry.get("error") else None
                    text = job_line(self.sweep, list(self.known.values()))
                    console.print(text, markup=False, style=style)


def job_line(sweep: Sweep, entries: list[dict[str, Any]]) -> str:
    """Return the line for the job of the last entry, with an estimate of the remaining time.

    Args:
        sweep: that the job belongs to.
        entries: of the journal, up to the end of the job.
    """
    last = entries[-1]
    ended = {entry["job"] for entry in entries if entry["event"] in ENDED}
    ran = sum("seconds" in entry for entry in entries)
    of = f" of {sweep.jobs}" if sweep.jobs else ""
    text = f"[{len(ended)}{of}] {last['label']}: {EVENT_TEXTS[last['event']]}"
    if "seconds" in last:
        text += f" in {last['seconds']:.0f} s"
    if last.get("accuracy") is not None:
        text += f", validation {100 * last['accuracy']:.1f} %"
    if last.get("error"):
        text += f": {shorten(last['error'], LONGEST_REASON, placeholder=' …')}"  # the end of the sweep says all of it
    if sweep.jobs and ran and len(ended) < sweep.jobs:
        began = min((entry["time"] for entry in entries if entry["event"] == "started"), default=last["time"])
        text += f"; about {format_duration((sweep.jobs - len(ended)) * (last['time'] - began) / ran)} left"
    return text
