"""One line on the terminal for each job of a sweep that is over, wherever it ran."""

from __future__ import annotations

import threading
from typing import Any

from headstart.core.console import console, format_duration
from headstart.sweep.record import ENDED, Sweep

PAUSE = 0.3  # seconds between two looks at the journal
SAID = {
    "found": "done before",
    "finished": "finished",
    "failed": "failed",
    "killed": "interrupted",
    "in progress": "not started",  # the error says why
}


class Lines(threading.Thread):
    """Prints a line when the journal of a sweep says that a job is over; the jobs themselves may be far away."""

    def __init__(self, sweep: Sweep) -> None:
        """Begin with this time that the command was given.

        Args:
            sweep: whose journal is followed.
        """
        super().__init__(daemon=True)
        self.sweep = sweep
        self.known: dict[tuple[str, int], dict[str, Any]] = {}  # by event and job, in the order in which they arrived
        self.over, self.printing = threading.Event(), threading.Lock()

    def run(self) -> None:
        """Follow the journal until `finish` is called."""
        while not self.over.wait(PAUSE):
            self.catch_up()

    def finish(self) -> None:
        """Print what has not been printed yet, and stop."""
        self.over.set()
        self.join()
        self.catch_up()

    def catch_up(self) -> None:
        """Print what has not been printed yet."""
        with self.printing:
            for entry in self.sweep.journal():
                if (entry["event"], entry["job"]) in self.known:
                    continue
                self.known[entry["event"], entry["job"]] = entry
                if entry["event"] in SAID:
                    style = "bold red" if entry.get("error") else "bold"
                    text = job_line(self.sweep, list(self.known.values()))
                    console.print(text, markup=False, soft_wrap=True, style=style)


def job_line(sweep: Sweep, entries: list[dict[str, Any]]) -> str:
    """Return what there is to say of the job that the last entry is about, and how long the others will take.

    Args:
        sweep: that the job belongs to.
        entries: of the journal, up to the one that says how the job ended.
    """
    last = entries[-1]
    ended = {entry["job"] for entry in entries if entry["event"] in ENDED}
    ran = sum("seconds" in entry for entry in entries)
    of = f" of {sweep.jobs}" if sweep.jobs else ""
    text = f"[{len(ended)}{of}] {last['label']}: {SAID[last['event']]}"
    if "seconds" in last:
        text += f" in {last['seconds']:.0f} s"
    if last.get("accuracy") is not None:
        text += f", validation {last['accuracy']:.1%}"
    if last.get("error"):
        text += f": {last['error']}"
    if sweep.jobs and ran and len(ended) < sweep.jobs:
        began = min((entry["time"] for entry in entries if entry["event"] == "started"), default=last["time"])
        text += f"; about {format_duration((sweep.jobs - len(ended)) * (last['time'] - began) / ran)} left"
    return text
