"""What a run needs MLflow for, in a subprocess if the command has one, beside the import of TensorFlow."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from headstart.core.workers import TRACKING, call, has_worker, worker
from headstart.tracking.journal import Journal
from headstart.tracking.sending import send
from headstart.tracking.store import import_mlflow, is_run_deleted


def tracking_worker(uri: str) -> AbstractContextManager[None]:
    """Send the journals of runs from a subprocess within this context.

    Args:
        uri: of the store, see `store_uri`.
    """
    return worker(TRACKING, _prepare, uri)


def prepare_tracking(uri: str) -> None:
    """Import MLflow, or wait until the worker has.

    Args:
        uri: of the store, see `store_uri`.
    """
    call(TRACKING, _prepare, uri)


def send_journal(journal: Journal) -> None:
    """Send the pending entries of a journal to the store that the run was started with.

    Args:
        journal: of the run.

    Raises:
        StoreUnavailable: when the store does not answer; entries sent before that are marked as sent.
    """
    if not has_worker(TRACKING):
        send(journal)
        return
    try:
        call(TRACKING, _send_file, journal.file)
    finally:
        journal.read_progress()


def context_tags(uri: str, tags: dict[str, str]) -> dict[str, str]:
    """Return tags with those that MLflow adds: user, program and commit.

    Args:
        uri: of the store, see `store_uri`.
        tags: stay as they are.
    """
    return call(TRACKING, _context_tags, uri, tags)


def is_deleted(uri: str, run_id: str) -> bool:
    """Return whether a run no longer exists in the store, see `is_run_deleted`."""
    return call(TRACKING, is_run_deleted, uri, run_id)


def _prepare(uri: str) -> None:
    """Import what sending a whole run needs."""
    import_mlflow(uri)
    import mlflow.pyfunc  # noqa: F401  # of the served model


def _send_file(file: Path) -> None:
    journal = Journal(file, shared=True)
    try:
        send(journal)
    finally:
        journal.close()


def _context_tags(uri: str, tags: dict[str, str]) -> dict[str, str]:
    import_mlflow(uri)
    from mlflow.tracking.context.registry import resolve_tags

    return resolve_tags(tags)
