"""What waits on disk since a tracking store did not answer: finding it and sending it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headstart.core.paths import outputs_directory
from headstart.tracking.journal import DIRECTORY, Journal, count_pending, record_tracking
from headstart.tracking.sending import send

PLACES = (f"{DIRECTORY}/*.jsonl", f"*/{DIRECTORY}/*.jsonl")  # of a run or a sweep, and of a sweep's jobs


@dataclass(frozen=True)
class Sent:
    """What became of a journal."""

    entries: int  # that were sent now
    status: str | None  # that the run was closed with; None where its end is not in the journal
    refused: int  # entries that the store never takes


def pending_journals(directory: Path | None = None) -> list[Path]:
    """Return the journals with something that waits.

    Args:
        directory: of a run or of a sweep with its jobs; None is all runs and sweeps among the outputs.
    """
    tops = [directory] if directory else sorted(outputs_directory().glob("*/*/"))
    found = (file for top in tops for place in PLACES for file in sorted(top.glob(place)))
    return [file for file in found if count_pending(file)]


def send_pending(file: Path, uri: str | None = None) -> Sent:
    """Send what waits in a journal, and let the run's `results.json` say so.

    Args:
        file: the journal.
        uri: of the store, where its address is another one by now.

    Raises:
        StoreUnavailable: when the store does not answer.
        JournalInUseError: when the run is, or somebody else sends.
    """
    journal = Journal(file)
    try:
        entries = send(journal, uri)
    finally:
        journal.close()
        record_tracking(journal.output)
    end = [entry["status"] for entry in journal.entries() if entry["kind"] == "end"]
    return Sent(entries, end[-1] if end else None, len(journal.progress["refused"]))
