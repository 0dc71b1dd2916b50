"""What a run logs, on disk before it is sent, and how far the tracking store has it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.full_disk import naming_full_disk
from headstart.results.file import read_results, write_results
from headstart.results.sections import Tracking
from headstart.results.types import RunResults

DIRECTORY = "tracking"  # in the directory of a run or a sweep
Entry = dict[str, Any]  # with its kind and its time in milliseconds since the epoch
SECONDS_FOR_OTHERS = 60.0  # in which a program that sends what waits lets a run have its journal


class JournalInUseError(HeadstartError):
    """Another process has a journal open."""


class Journal:
    """One line of JSON for each thing to log; beside it a small file that says how many lines have been sent.

    Whoever has it open has it alone: a run under way, or a program that sends what waits. The operating system has
    each line at once, so that it outlives the process; it is on the disk before it is sent.
    """

    def __init__(self, file: Path, patience: float = 0) -> None:
        """Open a journal, which is made when it is not there.

        Args:
            file: its lines, in the directory `tracking` of the run.
            patience: seconds to wait where another process has it open.

        Raises:
            JournalInUseError: when another process has it open.
        """
        self.file, self.output = file, file.parent.parent
        self._lock = FileLock(file.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=patience)
        except Timeout:
            raise JournalInUseError(
                f"Expected a run that is over. Received: {self.output}, which is under way"
            ) from None
        self._progress_file = _progress_file(file)
        self.progress = _read_progress(file)
        self._descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        os.truncate(self._descriptor, _length_of_whole_lines(file))  # a process may have died within a line

    @classmethod
    def begin(cls, output: Path, **content: Any) -> Journal:
        """Begin the next journal of a directory, with the entry that creates the run.

        Args:
            output: directory of the run.
            content: of the entry; gets an id that tells this run from all others.
        """
        directory = output / DIRECTORY
        directory.mkdir(parents=True, exist_ok=True)
        journal = cls(directory / f"{len(list(directory.glob('*.jsonl'))) + 1:03}.jsonl")
        journal.append("create", id=uuid4().hex, **content)
        return journal

    @cached_property
    def header(self) -> Entry:
        """Return the entry that creates the run."""
        return next(self.entries())

    @property
    def run_id(self) -> str:
        """Return the run's id in the store; as long as it is not there, one that only this journal knows."""
        return self.progress["run_id"] or self.header["id"]

    def append(self, kind: str, **content: Any) -> None:
        """Add an entry.

        Args:
            kind: what is to be done with it.
            content: of the entry.
        """
        line = json.dumps({"kind": kind, "time": round(time.time() * 1000), **content}, ensure_ascii=False) + "\n"
        left = line.encode("utf-8", "replace")  # a store takes no name of a file in another encoding
        before = self._size()
        try:
            with naming_full_disk(self.file):
                while left:
                    left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.truncate(self._descriptor, before)  # what is added later must not stand behind half a line
            raise

    def entries(self) -> Iterator[Entry]:
        """Yield every entry that is there, sent or not."""
        yield from (entry for entry, _ in _entries(self.file, 0))

    def waiting(self) -> Iterator[tuple[Entry, int]]:
        """Yield the entries that have not been sent, each with where it ends; the disk has them."""
        size = self._size()
        os.fsync(self._descriptor)
        for entry, end in _entries(self.file, self.progress["bytes"]):
            if end > size:  # came meanwhile
                return
            yield entry, end

    def waits(self) -> bool:
        """Return whether there is anything to send."""
        return self._size() > self.progress["bytes"]

    def mark(self, count: int, end: int) -> None:
        """Note that further entries have been sent.

        Args:
            count: how many.
            end: where the last one ends.
        """
        self.progress["sent"] += count
        self.progress["bytes"] = end
        self.save()

    def count_failure(self) -> int:
        """Return how often sending has failed at the entry that is next, this time included."""
        place, known = self.progress["bytes"], self.progress.get("failures", {})
        times = known["times"] + 1 if known.get("bytes") == place else 1
        self.progress["failures"] = {"bytes": place, "times": times}
        self.save()
        return times

    def set_aside(self, entry: Entry, end: int, reason: str) -> None:
        """Note that the store never takes an entry, which is kept in a file of its own.

        Args:
            entry: it.
            end: where it ends.
            reason: why not.
        """
        with naming_full_disk(self.refused_file), self.refused_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"reason": reason, **entry}, ensure_ascii=False) + "\n")
        self.progress["refused"].append(f"{entry['kind']}: {reason}")
        self.mark(1, end)

    @property
    def refused_file(self) -> Path:
        """Return the file of what the store does not take, a line of JSON for each entry."""
        return _refused_file(self.file)

    def save(self) -> None:
        """Write how far the journal has been sent, and what is known of the run in the store.

        The disk is not waited for: where this file is lost all is sent again, which changes nothing.
        """
        partial = self._progress_file.with_suffix(".partial")
        try:
            with naming_full_disk(self._progress_file):
                partial.write_text(json.dumps(self.progress), encoding="utf-8")
                partial.replace(self._progress_file)
        finally:
            partial.unlink(missing_ok=True)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)
        self._lock.release()

    def discard(self) -> None:
        """Remove it, where the run never began."""
        self.close()
        for file in (self.file, self._progress_file, self.refused_file, Path(self._lock.lock_file)):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are there
            self.file.parent.rmdir()


def journals(output: Path) -> list[Path]:
    """Return the journals in the directory of a run or a sweep, oldest first: one for each time that it was begun."""
    return sorted(file for file in (output / DIRECTORY).glob("*.jsonl") if file.stat().st_size)  # begun, not just made


def count_pending(file: Path) -> int:
    """Return how many entries of a journal have not been sent; anybody may ask at any time."""
    return sum(1 for _ in _entries(file, _read_progress(file)["bytes"]))


def refused_entries(file: Path) -> list[str]:
    """Return why a store does not take entries of a journal, a sentence for each; anybody may ask at any time.

    Args:
        file: the journal.
    """
    return list(_read_progress(file)["refused"])


def report_refused_entries(files: Iterable[Path]) -> None:
    """Print how much a store did not take and where it is kept, nothing where it took everything.

    Args:
        files: journals.
    """
    refused = {_refused_file(file): len(found) for file in files if (found := refused_entries(file))}
    if refused:
        first, *others = refused
        where = f"{first}" + (f" and {len(others)} files like it" if others else "")
        entries = sum(refused.values())
        text = f"the tracking store refused {entries} {'entry' if entries == 1 else 'entries'}, kept in {where}"
        console.print(f"  Warning: {text}", markup=False, soft_wrap=True)


@dataclass(frozen=True)
class TrackingRecord:
    """How far the tracking store has a run, as its newest journal says."""

    run_id: str
    experiment_id: str | None
    tracking: Tracking

    def added_to(self, results: RunResults) -> RunResults:
        """Return results with this record."""
        return replace(results, run_id=self.run_id, experiment_id=self.experiment_id, tracking=self.tracking)


def tracking_record(output: Path) -> TrackingRecord:
    """Return how far the tracking store has a run.

    Args:
        output: directory of a run that has a journal.
    """
    found = journals(output)
    progress = _read_progress(found[-1])
    header, _ = next(_entries(found[-1], 0))
    waiting, refused = sum(count_pending(file) for file in found), tuple(progress["refused"])
    run_id = progress["run_id"] or header["id"]
    return TrackingRecord(run_id, progress["experiment_id"], Tracking(waiting=waiting, refused=refused or None))


def record_tracking(output: Path) -> TrackingRecord:
    """Bring a run's `results.json`, if it has one, up to date with `tracking_record`, and return that.

    Args:
        output: directory of a run that has a journal.
    """
    record, results = tracking_record(output), read_results(output)
    if results is not None and record.added_to(results) != results:
        write_results(output, record.added_to(results))
    return record


def _progress_file(file: Path) -> Path:
    return file.with_suffix(".sent.json")


def _refused_file(file: Path) -> Path:
    return file.with_suffix(".refused")  # not .jsonl, as journals are


def _read_progress(file: Path) -> dict[str, Any]:
    """Return how far a journal has been sent; from its beginning where that is not known."""
    try:
        return json.loads(_progress_file(file).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {"sent": 0, "bytes": 0, "run_id": None, "experiment_id": None, "refused": []}


def _entries(file: Path, start: int) -> Iterator[tuple[Entry, int]]:
    """Yield whole entries from a place on, each with where it ends."""
    with file.open("rb") as lines:
        end = lines.seek(start)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield json.loads(line), end


def _length_of_whole_lines(file: Path) -> int:
    """Return how many bytes of a file are lines with their end."""
    text = file.read_bytes()
    return text.rfind(b"\n") + 1
