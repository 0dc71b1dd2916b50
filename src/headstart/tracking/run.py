"""Logs runs to MLflow through a journal: one MLflow run per job, one epoch axis over all stages."""

from __future__ import annotations

import contextlib
import shlex
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.core.console import console
from headstart.core.full_disk import is_disk_full
from headstart.tracking.background import BackgroundSender
from headstart.tracking.datasets import LoggedDataset
from headstart.tracking.in_worker import context_tags, is_deleted, send_journal
from headstart.tracking.journal import (
    LOCK_TIMEOUT,
    Journal,
    JournalInUseError,
    TrackingRecord,
    count_pending,
    journals,
    record_tracking,
    report_refused_entries,
)
from headstart.tracking.sending import ERROR
from headstart.tracking.store import StoreUnavailable, http_timeouts

LONGEST_PARAMETER = 6000  # characters, MLflow's limit; the artifact config.yaml has the full values
LONGEST_TAG = 5000  # characters, likewise


class Tracker:
    """Logs one run to its journal; created by `begin_run`, `continue_run` or `tracked_run`."""

    def __init__(self, journal: Journal) -> None:
        """Read which metrics the run has logged before.

        Args:
            journal: of the run.
        """
        self.journal = journal
        logged = [entry for entry in journal.entries() if entry["kind"] == "metrics"]
        self._before = {(key, entry["step"]): value for entry in logged for key, value in entry["values"].items()}

    @property
    def run_id(self) -> str:
        """Return the run's id in the store, or the journal's own id until the store has the run."""
        return self.journal.run_id

    @property
    def experiment_id(self) -> str | None:
        """Return the id of the run's experiment; None until the store has the run."""
        return self.journal.progress["experiment_id"]

    def log_parameters(self, values: Mapping[str, Any]) -> None:
        """Log parameters. A resumed run keeps those that it logged first."""
        if any(entry["kind"] == "parameters" for entry in self.journal.entries()):
            return
        texts = {key: str(value)[:LONGEST_PARAMETER] for key, value in values.items()}
        self.journal.append("parameters", values=texts)

    def log_metrics(self, metrics: dict[str, float], epoch: int | None = None) -> None:
        """Log metrics of an epoch, counted over all stages, or of the whole run.

        When a resumed run repeats an epoch, the metrics first logged for it stay, among them its duration. Metrics of
        the whole run are logged again if they changed.
        """
        step, before = epoch or 0, self._before
        values = {key: float(value) for key, value in metrics.items()}
        if step:
            new = {key: value for key, value in values.items() if (key, step) not in before}
        else:
            new = {key: value for key, value in values.items() if before.get((key, step)) != value}
        if new:
            self.journal.append("metrics", values=new, step=step)

    def log_files(self, files: Iterable[Path], into: str | None = None) -> None:
        """Log files of the run's directory as artifacts, all into one artifact directory."""
        for file in files:
            self.journal.append("file", path=str(file.relative_to(self.journal.output)), into=into)

    def describe(self, markdown: str, tags: dict[str, str]) -> None:
        """Set the description on the run's MLflow page, and tags to search by."""
        self.journal.append("tags", values={**tags, "mlflow.note.content": markdown})

    def explain(self, reason: str, details: str) -> None:
        """Log why the run failed.

        Args:
            reason: its first line becomes the tag `error`.
            details: such as the traceback; becomes the artifact error.txt.
        """
        self.journal.append("tags", values={ERROR: reason.strip().splitlines()[0][:LONGEST_TAG]})
        self.journal.append("text", text=details, name="error.txt")

    def log_datasets(self, datasets: Iterable[LoggedDataset]) -> None:
        """Log the splits of the run's data; a resumed run has the same ones."""
        if not any(entry["kind"] == "datasets" for entry in self.journal.entries()):
            self.journal.append("datasets", values=[dataset.values() for dataset in datasets])

    def log_classifier(self, directory: Path, description: str = "", register: str | None = None) -> None:
        """Log the saved classifier as a model that `mlflow models serve` understands.

        Args:
            directory: what `save_classifier` wrote, in the directory of the run.
            description: of the model, as Markdown.
            register: name of the registered model that it becomes a version of; None registers nothing.
        """
        path = str(directory.relative_to(self.journal.output))
        self.journal.append("classifier", path=path, description=description)
        if register is not None:
            self.journal.append("register", name=register)

    def next_step(self, prefix: str) -> int:
        """Return the step after the last one of the metrics whose names begin with a prefix; 1 without any."""
        return max((step for key, step in self._before if key.startswith(prefix)), default=0) + 1

    def reopen(self) -> None:
        """Set the run's status to RUNNING again."""
        self.journal.append("reopen")

    def end(self, status: str) -> None:
        """Set the run's status, and its end time to now.

        Args:
            status: `FINISHED`, `FAILED` or `KILLED`.
        """
        self.journal.append("end", status=status)

    def close(self) -> None:
        """Send the pending entries and close the journal, which keeps them if the store is unreachable."""
        _send_and_close(self.journal)


def begin_run(
    uri: str, experiment: str, name: str, tags: dict[str, str], output: Path, allow_offline: bool = False
) -> Tracker:
    """Create a run in the tracking store, with status RUNNING until `Tracker.end`.

    Args:
        uri: of the store, see `store_uri`.
        experiment: name; created if necessary.
        name: of the run.
        tags: to search by.
        output: directory of the run, which holds its journal.
        allow_offline: start the run even if the store is unreachable.

    Raises:
        StoreUnavailable: when the store is unreachable, unless `allow_offline`.
    """
    journal = Journal.begin(output, uri=uri, experiment=experiment, name=name, tags=context_tags(uri, tags))
    try:
        send_journal(journal)
    except StoreUnavailable:
        if not allow_offline:
            journal.discard()
            raise
        _warn_about_pending(journal)
    except BaseException:
        journal.discard()
        raise
    for file in journals(output)[:-1]:  # of earlier runs in this directory that ended while the store was unreachable
        if count_pending(file):
            with contextlib.suppress(JournalInUseError):  # another process sends it
                _send_and_close(Journal(file))
    return Tracker(journal)


def continue_run(output: Path) -> Tracker | None:
    """Open the run of a directory again; return None if there is none, or it was deleted from the store.

    Args:
        output: directory of a run whose process has ended.

    Raises:
        JournalInUseError: when the process is still running.
    """
    found = journals(output)
    if not found:
        return None
    journal = Journal(found[-1], LOCK_TIMEOUT)
    run_id = journal.progress["run_id"]
    if run_id and is_deleted(journal.header["uri"], run_id):
        journal.close()
        return None
    return Tracker(journal)


@contextlib.contextmanager
def tracked_run(
    uri: str,
    experiment: str,
    name: str,
    tags: dict[str, str],
    output: Path,
    allow_offline: bool = False,
    resume: bool = False,
) -> Iterator[Tracker]:
    """Open a run in the tracking store, send its journal in the background, close it as FINISHED, FAILED or KILLED.

    Args:
        uri: of the store, see `store_uri`.
        experiment: name; created if necessary.
        name: of the run.
        tags: to search by.
        output: directory of the run, which holds its journal.
        allow_offline: start the run even if the store is unreachable; for jobs of a sweep, which reached it before.
        resume: continue the run whose journal is in the directory, if there is one.

    Raises:
        StoreUnavailable: when the store is unreachable before the run starts, unless `allow_offline`.
    """
    tracker = continue_run(output) if resume else None
    if tracker is None:
        tracker = begin_run(uri, experiment, name, tags, output, allow_offline)
    else:
        tracker.reopen()
    sender, status = BackgroundSender(tracker.journal), "FAILED"
    with http_timeouts(retries=0):  # not in the sender, because all threads share the environment
        sender.start()
        try:
            yield tracker
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except Exception as error:
            reason = str(error).strip() or type(error).__name__
            with _ignore_full_disk():
                tracker.explain(reason, "".join(traceback.format_exception(error)))
            raise
        finally:
            try:
                with _ignore_full_disk() if status == "FAILED" else contextlib.nullcontext():
                    tracker.end(status)
            finally:
                sender.finish(hurry=status == "KILLED")
                if tracker.journal.has_pending():
                    _warn_about_pending(tracker.journal)
                report_refused_entries([tracker.journal.file])
                if not sender.is_alive():
                    tracker.journal.close()


@contextlib.contextmanager
def _ignore_full_disk() -> Iterator[None]:
    """Suppress the error of a full disk, which would hide why the run failed."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise


def log_results(output: Path) -> TrackingRecord:
    """Log results.json, which is written when the run is over, so that a comparison elsewhere can fetch it.

    Args:
        output: directory of the run.

    Returns:
        How far the tracking store has the run.
    """
    journal = Journal(journals(output)[-1], LOCK_TIMEOUT)
    unavailable = journal.has_pending()
    journal.append("results")
    if unavailable:
        journal.close()
    else:
        _send_and_close(journal)
    return record_tracking(output)


def _send_and_close(journal: Journal) -> None:
    try:
        send_journal(journal)
    except StoreUnavailable:
        _warn_about_pending(journal)
    finally:
        journal.close()


def _warn_about_pending(journal: Journal) -> None:
    console.print(
        f"  Warning: the tracking store {journal.header['uri']} does not answer; logged data is kept in "
        f"{journal.file.parent}\n  Send it later with: headstart sync {shlex.quote(str(journal.output))}",
        markup=False,
    )
