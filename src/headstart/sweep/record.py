"""A sweep on disk: the settings that its jobs share, and a journal of their events.

The journal is a directory with one file per writing process, because lines that several machines append to one file on
NFS overwrite each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.config import select_overrides
from headstart.core.files import file_name, write_json
from headstart.core.process_lock import Process

RECORD, JOURNAL = "sweep.json", "journal"
FINISHED = ("finished", "found")  # events of jobs with a result, from this launch or an earlier one
# Events of jobs without a result: `kept` had one, but its images cannot be read; `in progress` runs elsewhere.
UNFINISHED = ("failed", "killed", "not started", "kept", "in progress")
ENDED = (*FINISHED, *UNFINISHED)  # the last event of a job


@dataclass(frozen=True)
class Sweep:
    """One command with several jobs; every job's process loads it from the sweep's directory."""

    name: str
    directory: str
    command: str
    swept: tuple[str, ...]  # keys whose values differ between the jobs
    jobs: int | None  # number of jobs; None if the sweeper chooses jobs as it runs
    at_once: int  # jobs that run on a machine at the same time
    alone: bool  # whether jobs run one after the other in this terminal
    on_error: str
    launch: str  # unique id of this launch of the command
    tracking_uri: str
    tracking_experiment: str
    parent_run_id: str
    processors: float | None = None  # per job; if known, it overrides at_once
    environment: dict[str, str | None] = field(default_factory=dict)  # variables to set in each job; null unsets one
    launcher: Process | None = None  # the launching process; null if the jobs may outlive it in a scheduler's queue

    @property
    def path(self) -> Path:
        """Return the sweep's directory."""
        return Path(self.directory)

    def save(self) -> None:
        """Write the record."""
        write_json(self.path / RECORD, dataclasses.asdict(self))

    @classmethod
    def load(cls, directory: Path) -> Sweep:
        """Read the record of a sweep's directory."""
        values = json.loads((directory / RECORD).read_text(encoding="utf-8"))
        known = {item.name: values[item.name] for item in dataclasses.fields(cls) if item.name in values}
        launcher = values.get("launcher") and Process(**values["launcher"])
        return cls(**{**known, "swept": tuple(values["swept"]), "launcher": launcher})

    def slots(self) -> int:
        """Return how many jobs run on this process's machine at the same time."""
        if self.processors is None:
            return self.at_once
        here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, int(here / self.processors))

    def is_abandoned(self) -> bool:
        """Return whether the sweep was launched on this machine by a process that has died."""
        return self.launcher is not None and self.launcher.has_ended()

    def label(self, overrides: list[str]) -> str:
        """Return the overrides in which a job differs from the others.

        Args:
            overrides: of the job.
        """
        return job_label(overrides, self.swept)

    def note(self, event: str, number: int, label: str, **more: Any) -> None:
        """Add an entry to this process's file of the journal.

        Args:
            event: `started` or one of `ENDED`.
            number: of the job.
            label: of the job.
            more: further values of the entry.
        """
        entry = {"launch": self.launch, "time": round(time.time(), 3), "event": event, "job": number, "label": label}
        line = json.dumps({**entry, **more}, ensure_ascii=False)
        directory = self.path / JOURNAL
        directory.mkdir(exist_ok=True)
        writer = f"{self.launch}-{file_name(socket.gethostname())}-{os.getpid()}.jsonl"
        with (directory / writer).open("ab", buffering=0) as file:
            file.write(f"\n{line}\n".encode("utf-8", "backslashreplace"))  # starts on a new line, even after a torn one

    def journal(self) -> list[dict[str, Any]]:
        """Return the readable entries of this launch, oldest first."""
        entries = []
        for file in sorted((self.path / JOURNAL).glob(f"{self.launch}-*.jsonl")):
            with contextlib.suppress(OSError):  # NFS may forget a file while it is read
                entries += [entry for line in file.read_bytes().splitlines() if (entry := self._entry(line))]
        return sorted(entries, key=lambda entry: entry["time"])

    def _entry(self, line: bytes) -> dict[str, Any] | None:
        """Return an entry of this launch; None for anything else, such as half a line of a killed process."""
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return None
        kinds: dict[str, type | tuple[type, ...]] = {"time": (int, float), "event": str, "job": int, "label": str}
        if not isinstance(entry, dict) or entry.get("launch") != self.launch:
            return None
        return entry if all(isinstance(entry.get(key), kind) for key, kind in kinds.items()) else None

    def ended(self) -> dict[int, dict[str, Any]]:
        """Return the last entry of each job that has ended, by job number."""
        return {entry["job"]: entry for entry in self.journal() if entry["event"] in ENDED}


def job_label(overrides: Sequence[str], swept: Sequence[str]) -> str:
    """Return the overrides in which a job differs from the others of its sweep.

    Args:
        overrides: of the job.
        swept: keys whose values differ between the jobs.
    """
    own = select_overrides(overrides, swept)
    return " ".join(own or overrides) or "as configured"
