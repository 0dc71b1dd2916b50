"""MLflow: one run a job, one epoch axis; everything goes through the run's journal."""

from __future__ import annotations

import contextlib
import shlex
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from headstart.config import parameters
from headstart.core.console import console
from headstart.core.full_disk import is_full
from headstart.tracking.background import BackgroundSender
from headstart.tracking.journal import (
    SECONDS_FOR_OTHERS,
    Journal,
    JournalInUseError,
    count_pending,
    journals,
    record_tracking,
    report_refused_entries,
)
from headstart.tracking.sending import ERROR, send
from headstart.tracking.store import StoreUnavailable, has_lost, http_timeouts, import_mlflow

LONGEST_PARAMETER = 6000  # characters, MLflow's limit; the whole configuration is an artifact beside it
LONGEST_TAG = 5000  # characters, likewise


class Tracker:
    """Logs one run into its journal; made by `begin_run`, `continue_run` or `tracked_run`."""

    def __init__(self, journal: Journal) -> None:
        """Find what was logged before.

        Args:
            journal: of the run.
        """
        self.journal = journal
        logged = [entry for entry in journal.entries() if entry["kind"] == "metrics"]
        self._before = {(key, entry["step"]): value for entry in logged for key, value in entry["values"].items()}

    @property
    def run_id(self) -> str:
        """Return the run's id in the store; one of its journal as long as the store does not have it."""
        return self.journal.run_id

    @property
    def experiment_id(self) -> str | None:
        """Return the id of the run's experiment, None as long as the store does not have the run."""
        return self.journal.progress["experiment_id"]

    def log_parameters(self, config: Any) -> None:
        """Log every value of a configuration (a dataclass) under its dotted key, once.

        A run that is resumed keeps its parameters, whatever else is said about how long it may take this time.
        """
        if any(entry["kind"] == "parameters" for entry in self.journal.entries()):
            return
        flat = {key: str(value)[:LONGEST_PARAMETER] for key, value in flatten(parameters(config)).items()}
        self.journal.append("parameters", values=flat)

    def log_metrics(self, metrics: dict[str, float], epoch: int | None = None) -> None:
        """Log figures, those of an epoch with its number counted over all stages.

        Where a run is resumed, an epoch that was logged before and is trained again keeps the figures of then, among
        them how long it took; other figures are logged where they have changed.
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
        """Log files in the directory of the run, all into one directory of its artifacts."""
        for file in files:
            self.journal.append("file", path=str(file.relative_to(self.journal.output)), into=into)

    def describe(self, markdown: str, tags: dict[str, str]) -> None:
        """Set what the run's page shows on top, and tags to search by."""
        self.journal.append("tags", values={**tags, "mlflow.note.content": markdown})

    def explain(self, reason: str, details: str) -> None:
        """Say why the run failed.

        Args:
            reason: its first line becomes a tag.
            details: becomes an artifact, such as the traceback.
        """
        self.journal.append("tags", values={ERROR: reason.strip().splitlines()[0][:LONGEST_TAG]})
        self.journal.append("text", text=details, name="error.txt")

    def log_classifier(self, directory: Path) -> None:
        """Log the saved classifier as a model that `mlflow models serve` understands.

        Args:
            directory: what `save_classifier` wrote, in the directory of the run.
        """
        self.journal.append("classifier", path=str(directory.relative_to(self.journal.output)))

    def reopen(self) -> None:
        """Say that the run is under way again."""
        self.journal.append("reopen")

    def end(self, status: str) -> None:
        """Set the run's end to now.

        Args:
            status: `FINISHED`, `FAILED` or `KILLED`.
        """
        self.journal.append("end", status=status)

    def close(self) -> None:
        """Send what waits and close the journal; what a store that does not answer cannot take goes on waiting."""
        _send_and_close(self.journal)


def begin_run(
    uri: str, experiment: str, name: str, tags: dict[str, str], output: Path, may_wait: bool = False
) -> Tracker:
    """Make a run in the tracking store that is under way until `Tracker.end`.

    Args:
        uri: of the store, see `store_uri`.
        experiment: that the run belongs to; made when it is not there.
        name: of the run.
        tags: to search by.
        output: directory of the run; its journal is there.
        may_wait: whether the run can begin though the store does not answer.

    Raises:
        StoreUnavailable: when the store cannot be reached and the run may not wait for it.
    """
    import_mlflow(uri)
    from mlflow.tracking.context.registry import resolve_tags

    journal = Journal.begin(output, uri=uri, experiment=experiment, name=name, tags=resolve_tags(tags))
    try:
        send(journal)
    except StoreUnavailable:
        if not may_wait:
            journal.discard()
            raise
        _say_what_waits(journal)
    except BaseException:
        journal.discard()
        raise
    for file in journals(output)[:-1]:  # of runs that ended here while the store did not answer
        if count_pending(file):
            with contextlib.suppress(JournalInUseError):  # somebody else sends
                _send_and_close(Journal(file))
    return Tracker(journal)


def continue_run(output: Path) -> Tracker | None:
    """Open the run that a directory holds, None where there is none, or the store has lost it.

    Args:
        output: directory of a run whose process has ended, however it did.

    Raises:
        JournalInUseError: when it has not.
    """
    found = journals(output)
    if not found:
        return None
    journal = Journal(found[-1], SECONDS_FOR_OTHERS)
    run_id = journal.progress["run_id"]
    if run_id and has_lost(journal.header["uri"], run_id):
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
    may_wait: bool = False,
    resume: bool = False,
) -> Iterator[Tracker]:
    """Open a run in the tracking store and close it as FINISHED, FAILED or KILLED; it is sent beside what it does.

    Args:
        uri: of the store, see `store_uri`.
        experiment: that the run belongs to; made when it is not there.
        name: of the run.
        tags: to search by.
        output: directory of the run; its journal is there.
        may_wait: whether the run can begin though the store does not answer, as in a sweep, which began when it did.
        resume: whether to go on with the run whose journal the directory holds, where there is one.

    Raises:
        StoreUnavailable: when the store cannot be reached before the run begins.
    """
    tracker = continue_run(output) if resume else None
    if tracker is None:
        tracker = begin_run(uri, experiment, name, tags, output, may_wait)
    else:
        tracker.reopen()
    sender, status = BackgroundSender(tracker.journal), "FAILED"
    with http_timeouts(retries=0):  # here, because the environment belongs to all threads
        sender.start()
        try:
            yield tracker
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except Exception as error:
            reason = str(error).strip() or type(error).__name__
            with _where_there_is_room():
                tracker.explain(reason, "".join(traceback.format_exception(error)))
            raise
        finally:
            try:
                with _where_there_is_room() if status == "FAILED" else contextlib.nullcontext():
                    tracker.end(status)
            finally:
                sender.finish(hurry=status == "KILLED")
                if tracker.journal.waits():
                    _say_what_waits(tracker.journal)
                report_refused_entries([tracker.journal.file])
                if not sender.is_alive():
                    tracker.journal.close()


@contextlib.contextmanager
def _where_there_is_room() -> Iterator[None]:
    """Let nothing that a full disk cannot take hide why the run failed."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise


def log_results(output: Path) -> dict[str, Any]:
    """Log results.json, which is written when the run is over, so that a comparison elsewhere can fetch it.

    Args:
        output: directory of the run.

    Returns:
        What `results.json` says of the tracking.
    """
    journal = Journal(journals(output)[-1], SECONDS_FOR_OTHERS)
    away = journal.waits()
    journal.append("results")
    if away:
        journal.close()
    else:
        _send_and_close(journal)
    return record_tracking(output)


def _send_and_close(journal: Journal) -> None:
    try:
        send(journal)
    except StoreUnavailable:
        _say_what_waits(journal)
    finally:
        journal.close()


def _say_what_waits(journal: Journal) -> None:
    console.print(
        f"  Warning: the tracking store {journal.header['uri']} does not answer; what is logged waits in "
        f"{journal.file.parent}\n  Later: python scripts/sync.py {shlex.quote(str(journal.output))}",
        markup=False,
        soft_wrap=True,
    )


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries and lists as one dictionary with dotted keys.

    Args:
        node: dictionaries, lists and plain values.
        prefix: key of the node itself.
    """
    if isinstance(node, dict):
        members: list[tuple[Any, Any]] = list(node.items())
    elif isinstance(node, list):
        members = list(enumerate(node))
    else:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, member in members:
        flat.update(flatten(member, f"{prefix}.{key}" if prefix else str(key)))
    return flat
