"""The journal: everything a run logs, written to disk before it is sent, and how much has been sent so far."""

from __future__ import annotations

import contextlib
import json
import os
import threading
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
from headstart.core.full_disk import full_disk_errors_name
from headstart.results.file import read_results, write_results
from headstart.results.sections import Registration, Tracking
from headstart.results.types import RunResults

DIRECTORY = "tracking"  # in the directory of a run or a sweep
Entry = dict[str, Any]  # `kind`, `time` (milliseconds since the Unix epoch), and the content
LOCK_TIMEOUT = 60.0  # seconds; long enough for `headstart sync` to finish with a journal


class JournalInUseError(HeadstartError):
    """Another process has the journal open."""


class Journal:
    """A file with one line of JSON per entry, and beside it a small file that counts the lines already sent.

    Only one process has a journal open at a time: the run itself, or `headstart sync`. Each line is handed to the
    operating system at once, so it survives a crash of the process, and is flushed to disk before it is sent.
    """

    def __init__(self, file: Path, lock_timeout: float = 0, shared: bool = False) -> None:
        """Open a journal, creating it if necessary.

        Args:
            file: in the directory `tracking` of the run.
            lock_timeout: seconds to wait for another process to close it.
            shared: whether the process that has it open asked this one to send it, so that it needs no lock.

        Raises:
            JournalInUseError: when another process has it open.
        """
        self.file, self.output = file, file.parent.parent
        self._lock = FileLock(file.with_suffix(".lock"))
        self._writing = threading.Lock()  # between the run and the thread that samples the machine
        if not shared:
            try:
                self._lock.acquire(timeout=lock_timeout)
            except Timeout:
                raise JournalInUseError(
                    f"{self.output} is still running, or `headstart sync` is sending it. Wait until that has ended."
                ) from None
        self._progress_file = _progress_file(file)
        self.progress = _read_progress(file)
        self._descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        if not shared:
            os.truncate(self._descriptor, _length_of_whole_lines(file))  # drops a line that a dying process cut short

    @classmethod
    def begin(cls, output: Path, **content: Any) -> Journal:
        """Create the next journal in a run's directory, starting with the entry that creates the run.

        Args:
            output: directory of the run.
            content: of the entry; a unique id is added.
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
        """Return the run's id in the store, or the journal's own id until the store has the run."""
        return self.progress["run_id"] or self.header["id"]

    def append(self, kind: str, **content: Any) -> None:
        """Add an entry.

        Args:
            kind: decides how `sending` logs it.
            content: of the entry.
        """
        line = json.dumps({"kind": kind, "time": round(time.time() * 1000), **content}, ensure_ascii=False) + "\n"
        left = line.encode("utf-8", "replace")  # a store accepts file names in UTF-8 only
        with self._writing:
            before = self._size()
            try:
                with full_disk_errors_name(self.file):
                    while left:
                        left = left[os.write(self._descriptor, left) :]
            except OSError:
                os.truncate(self._descriptor, before)  # the next entry must not follow half a line
                raise

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, sent or not."""
        yield from (entry for entry, _ in _entries(self.file, 0))

    def pending(self) -> Iterator[tuple[Entry, int]]:
        """Flush to disk, then yield each entry that has not been sent, with its end in bytes."""
        size = self._size()
        os.fsync(self._descriptor)
        for entry, end in _entries(self.file, self.progress["bytes"]):
            if end > size:  # added after the flush
                return
            yield entry, end

    def read_progress(self) -> None:
        """Read how much another process has sent that this one asked to."""
        self.progress = _read_progress(self.file)

    def has_pending(self) -> bool:
        """Return whether there is anything to send."""
        return self._size() > self.progress["bytes"]

    def mark_sent(self, count: int, end: int) -> None:
        """Record that the next entries have been sent.

        Args:
            count: number of entries.
            end: of the last one, in bytes from the start of the journal.
        """
        self.progress["sent"] += count
        self.progress["bytes"] = end
        self.save()

    def count_failure(self) -> int:
        """Record that sending the next entry failed, and return how often it has."""
        position, known = self.progress["bytes"], self.progress.get("failures", {})
        times = known["times"] + 1 if known.get("bytes") == position else 1
        self.progress["failures"] = {"bytes": position, "times": times}
        self.save()
        return times

    def record_refusal(self, entry: Entry, end: int, reason: str) -> None:
        """Move an entry that the store refuses to `refused_file`, and skip it from now on.

        Args:
            entry: that was refused.
            end: of the entry, in bytes from the start of the journal.
            reason: given by the store.
        """
        with full_disk_errors_name(self.refused_file), self.refused_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"reason": reason, **entry}, ensure_ascii=False) + "\n")
        self.progress["refused"].append(f"{entry['kind']}: {reason}")
        self.mark_sent(1, end)

    @property
    def refused_file(self) -> Path:
        """Return the file of refused entries, one line of JSON each."""
        return _refused_file(self.file)

    def save(self) -> None:
        """Write how much of the journal has been sent, and the run's ids in the store.

        The file is not flushed: if it is lost, everything is sent again, which changes nothing.
        """
        partial = self._progress_file.with_suffix(".partial")
        try:
            with full_disk_errors_name(self._progress_file):
                partial.write_text(json.dumps(self.progress), encoding="utf-8")
                partial.replace(self._progress_file)
        finally:
            partial.unlink(missing_ok=True)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the journal and release its lock."""
        os.close(self._descriptor)
        self._lock.release()

    def discard(self) -> None:
        """Close and delete the journal of a run that never started."""
        self.close()
        for file in (self.file, self._progress_file, self.refused_file, Path(self._lock.lock_file)):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: earlier journals
            self.file.parent.rmdir()


def journals(output: Path) -> list[Path]:
    """Return the journals in the directory of a run or a sweep, oldest first: one for each time it was started."""
    return sorted(file for file in (output / DIRECTORY).glob("*.jsonl") if file.stat().st_size)  # empty: never started


def count_pending(file: Path) -> int:
    """Return how many entries of a journal have not been sent; takes no lock."""
    return sum(1 for _ in _entries(file, _read_progress(file)["bytes"]))


def refused_entries(file: Path) -> list[str]:
    """Return the reason for each entry of a journal that the store refused; takes no lock.

    Args:
        file: the journal.
    """
    return list(_read_progress(file)["refused"])


def report_refused_entries(files: Iterable[Path]) -> None:
    """Warn about entries that the store refused and print where they are kept; print nothing if there are none.

    Args:
        files: journals.
    """
    refused = {_refused_file(file): len(found) for file in files if (found := refused_entries(file))}
    if refused:
        first, *others = refused
        where = f"{first}" + (f" and {len(others)} similar files" if others else "")
        entries = sum(refused.values())
        text = f"the tracking store refused {entries} {'entry' if entries == 1 else 'entries'}, kept in {where}"
        console.print(f"  Warning: {text}", markup=False)


@dataclass(frozen=True)
class TrackingRecord:
    """How far the tracking store has a run, as its newest journal says."""

    uri: str  # of the store
    run_id: str
    experiment_id: str | None  # None before the store has the run
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
    registered = progress.get("registration")
    tracking = Tracking(
        waiting=waiting,
        refused=refused or None,
        model_id=progress.get("model_id"),
        registration=Registration(**registered) if registered else None,
    )
    return TrackingRecord(header["uri"], run_id, progress["experiment_id"], tracking)


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
    """Return how much of a journal has been sent; nothing if its progress file is missing or damaged."""
    try:
        return json.loads(_progress_file(file).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {"sent": 0, "bytes": 0, "run_id": None, "experiment_id": None, "refused": []}


def _entries(file: Path, start: int) -> Iterator[tuple[Entry, int]]:
    """Yield each complete entry from a byte position on, with its end in bytes."""
    with file.open("rb") as lines:
        end = lines.seek(start)
        for line in lines:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield json.loads(line), end


def _length_of_whole_lines(file: Path) -> int:
    """Return the length in bytes of a file up to its last line end."""
    text = file.read_bytes()
    return text.rfind(b"\n") + 1
