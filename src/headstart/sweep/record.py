"""A sweep on disk: what its jobs have in common, and a journal of what became of each.

The journal is a directory with a file for each process that writes to it, because lines that several machines append to
one file on NFS overwrite each other.
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

from headstart.config import about
from headstart.core.files import file_name, write_json
from headstart.core.process_lock import Process

RECORD, JOURNAL = "sweep.json", "journal"
FINISHED = ("finished", "found")  # events of jobs that have a result: of now or of before
# Of jobs without one: `kept` had a result before and its images cannot be read now, `in progress` runs elsewhere.
UNFINISHED = ("failed", "killed", "not started", "kept", "in progress")
ENDED = (*FINISHED, *UNFINISHED)  # after which nothing more comes from a job


@dataclass(frozen=True)
class Sweep:
    """One command with several jobs; every process that runs one of them reads it from the sweep's directory."""

    name: str
    directory: str
    command: str
    swept: tuple[str, ...]  # keys whose values differ between the jobs
    jobs: int | None  # how many the command makes; None where the sweeper decides while it goes on
    at_once: int  # jobs that share a machine
    alone: bool  # whether one job after the other runs, in this terminal
    on_error: str
    launch: str  # id of this time that the command was given
    tracking_uri: str
    tracking_experiment: str
    parent_run_id: str
    processors: float | None = None  # of each job; where it is known it decides how many share a machine
    environment: dict[str, str | None] = field(default_factory=dict)  # variables of each job; null is one not set
    launcher: Process | None = None  # that launched it; null where a scheduler's queue may outlive it

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

    def places(self) -> int:
        """Return how many jobs share the machine that this process runs on."""
        if self.processors is None:
            return self.at_once
        here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, int(here / self.processors))

    def is_abandoned(self) -> bool:
        """Return whether the process that launched the sweep was on this machine and is gone."""
        return self.launcher is not None and self.launcher.has_ended()

    def label(self, overrides: list[str]) -> str:
        """Return what tells a job from the others, in the words of the command line.

        Args:
            overrides: of the job.
        """
        return job_label(overrides, self.swept)

    def note(self, event: str, number: int, label: str, **more: Any) -> None:
        """Add a line to this process's file of the journal.

        Args:
            event: `started` or one of `ENDED`.
            number: of the job.
            label: of the job.
            more: values for this event.
        """
        entry = {"launch": self.launch, "time": round(time.time(), 3), "event": event, "job": number, "label": label}
        line = json.dumps({**entry, **more}, ensure_ascii=False)
        directory = self.path / JOURNAL
        directory.mkdir(exist_ok=True)
        writer = f"{self.launch}-{file_name(socket.gethostname())}-{os.getpid()}.jsonl"
        with (directory / writer).open("ab", buffering=0) as file:
            file.write(f"\n{line}\n".encode("utf-8", "backslashreplace"))  # not behind half a line of a full disk

    def journal(self) -> list[dict[str, Any]]:
        """Return the entries of this time that the command was given, oldest first, but for what cannot be read."""
        entries = []
        for file in sorted((self.path / JOURNAL).glob(f"{self.launch}-*.jsonl")):
            with contextlib.suppress(OSError):  # NFS may forget a file while it is read
                entries += [entry for line in file.read_bytes().splitlines() if (entry := self._entry(line))]
        return sorted(entries, key=lambda entry: entry["time"])

    def _entry(self, line: bytes) -> dict[str, Any] | None:
        """Return an entry of this launch, None for what is none, such as half a line of a killed process."""
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return None
        kinds: dict[str, type | tuple[type, ...]] = {"time": (int, float), "event": str, "job": int, "label": str}
        if not isinstance(entry, dict) or entry.get("launch") != self.launch:
            return None
        return entry if all(isinstance(entry.get(key), kind) for key, kind in kinds.items()) else None

    def ended(self) -> dict[int, dict[str, Any]]:
        """Return the last entry of each job that is over, by its number."""
        return {entry["job"]: entry for entry in self.journal() if entry["event"] in ENDED}


def job_label(overrides: Sequence[str], swept: Sequence[str]) -> str:
    """Return what tells a job from the others of its sweep, in the words of the command line.

    Args:
        overrides: of the job.
        swept: keys whose values differ between the jobs.
    """
    own = about(overrides, swept)
    return " ".join(own or overrides) or "as configured"
