"""Finds and sends journals that an unreachable tracking store left on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.core.paths import outputs_directory
from headstart.tracking.journal import DIRECTORY, Journal, count_pending, record_tracking
from headstart.tracking.sending import send

PATTERNS = (f"{DIRECTORY}/*.jsonl", f"*/{DIRECTORY}/*.jsonl")  # of a run or a sweep, and of a sweep's jobs


@dataclass(frozen=True)
class Sent:
    """The result of sending a journal."""

    entries: int  # sent by this call
    status: str | None  # FINISHED, FAILED or KILLED; None if the journal does not end the run
    refused: int  # entries that the store refused


def pending_journals(directory: Path | None = None) -> list[Path]:
    """Return the journals with entries that have not been sent.

    Args:
        directory: of a run, or of a sweep including its jobs; None searches all runs and sweeps in the outputs.
    """
    tops = [directory] if directory else sorted(outputs_directory().glob("*/*/"))
    found = (file for top in tops for pattern in PATTERNS for file in sorted(top.glob(pattern)))
    return [file for file in found if count_pending(file)]


def send_pending(file: Path, uri: str | None = None) -> Sent:
    """Send the pending entries of a journal, and update the run's `results.json`.

    Args:
        file: the journal.
        uri: of the store, if its address has changed since the run started.

    Raises:
        StoreUnavailable: when the store does not answer.
        JournalInUseError: when the run is still running, or another process sends its journal.
    """
    journal = Journal(file)
    try:
        entries = send(journal, uri)
    finally:
        journal.close()
        record_tracking(journal.output)
    end = [entry["status"] for entry in journal.entries() if entry["kind"] == "end"]
    return Sent(entries, end[-1] if end else None, len(journal.progress["refused"]))
