"""Sends journal entries to the tracking store in order; sending an entry twice has the effect of sending it once.

An answer may be lost after the store has carried out a request, so requests are repeated. A metric with the same time
is the same row, a parameter with the same value is accepted, a data set with the same name and digest too, tags and
artifacts are overwritten. Runs, models and their versions would be created twice, so existing ones are looked up first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from headstart.core.console import console
from headstart.results.file import read_results, write_results
from headstart.tracking.datasets import LoggedDataset, dataset_input
from headstart.tracking.failures import PermanentError, UncertainError, translate_store_errors
from headstart.tracking.journal import Entry, Journal, tracking_record
from headstart.tracking.logged_model import log_classifier, register_classifier
from headstart.tracking.metrics import METRICS_A_CALL, log_metrics
from headstart.tracking.store import StoreUnavailable, http_timeouts, import_mlflow, open_store

LOG = logging.getLogger(__name__)
PARAMETERS_A_CALL = 100  # MLflow's limit
MAX_FAILURES = 3  # server errors for one entry, seconds apart, before the entry is treated as refused
Group = list[tuple[Entry, int]]  # entries that are sent in one request, each with its end in the journal in bytes
ERROR = "error"  # tag of a run that failed


def send(journal: Journal, uri: str | None = None) -> int:
    """Send the pending entries of a journal and return how many were sent.

    Args:
        journal: of the run.
        uri: of the store; None is the store that the run was started with.

    Raises:
        StoreUnavailable: when the store does not answer; entries sent before that are marked as sent.
    """
    uri = uri or journal.header["uri"]
    import_mlflow(uri)
    before = journal.progress["sent"]
    with http_timeouts(retries=0):
        while journal.has_pending():
            for group in _groups(journal.pending()):
                try:
                    _send_group(uri, journal, group)
                except OSError as error:  # a full disk; the group will be sent again
                    raise StoreUnavailable(uri, error) from error
    return journal.progress["sent"] - before


def _send_group(uri: str, journal: Journal, group: Group) -> None:
    """Send a group and mark it as sent; if the store refuses it, send each entry alone and record the refused ones."""
    try:
        _send(uri, journal, [entry for entry, _ in group])
    except PermanentError as error:
        if len(group) > 1:
            for one in group:
                _send_group(uri, journal, [one])
            return
        [(entry, end)] = group
        if not any(reason.startswith(f"{entry['kind']}:") for reason in journal.progress["refused"]):
            console.print(f"  Warning: not tracked: {entry['kind']}: {error}", markup=False)
            LOG.warning("not tracked: %s: %s", entry["kind"], error)
        journal.record_refusal(entry, end, str(error))
    else:
        journal.mark_sent(len(group), group[-1][1])


def _groups(pending: Iterator[tuple[Entry, int]]) -> Iterator[Group]:
    """Yield groups of entries to send together: metrics of many epochs, any other entry alone."""
    group: Group = []
    metrics = 0
    for entry, end in pending:
        more = len(entry["values"]) if entry["kind"] == "metrics" else METRICS_A_CALL
        if group and metrics + more > METRICS_A_CALL:
            yield group
            group, metrics = [], 0
        group.append((entry, end))
        metrics += more
    if group:
        yield group


def _send(uri: str, journal: Journal, entries: list[Entry]) -> None:
    """Log entries of one kind; after an uncertain error, retry once if the store still accepts a harmless write.

    Raises:
        StoreUnavailable: when the store is at fault.
        PermanentError: when the entries are.
    """
    kind = entries[0]["kind"]
    if kind == "create":
        return _create(uri, journal, entries[0])

    def attempt() -> None:
        import mlflow

        with translate_store_errors(uri):
            client = mlflow.MlflowClient(uri)  # inside, because it would create a missing SQLite store
            if kind == "metrics":
                return log_metrics(client, journal, entries)
            return KINDS[kind](client, journal, entries[0])

    try:
        attempt()
    except UncertainError as first:
        _check_writable(uri, journal)
        if first.is_transient and journal.count_failure() < MAX_FAILURES:
            raise StoreUnavailable(uri, first) from first
        try:
            attempt()
        except UncertainError as error:
            raise PermanentError(error) from error


def _check_writable(uri: str, journal: Journal) -> None:
    """Write a tag that the run already has, to find out whether the store accepts anything for this run.

    Raises:
        StoreUnavailable: when it does not, for example because it is read-only or the run was deleted.
    """
    import mlflow

    try:
        with translate_store_errors(uri):
            mlflow.MlflowClient(uri).set_tag(journal.run_id, "journal", journal.header["id"])
    except (PermanentError, UncertainError) as error:
        raise StoreUnavailable(uri, error) from error


def _create(uri: str, journal: Journal, entry: Entry) -> None:
    with open_store(uri, entry["experiment"]) as experiment_id:
        import mlflow

        client = mlflow.MlflowClient(uri)
        found = client.search_runs([experiment_id], f"tags.journal = '{entry['id']}'", max_results=1)
        tags = {**entry["tags"], "journal": entry["id"]}
        run = found[0] if found else client.create_run(experiment_id, entry["time"], tags, entry["name"])
    journal.progress.update(run_id=run.info.run_id, experiment_id=experiment_id)


def _log_parameters(client: Any, journal: Journal, entry: Entry) -> None:
    from mlflow.entities import Param

    parameters = [Param(key, value) for key, value in entry["values"].items()]
    for start in range(0, len(parameters), PARAMETERS_A_CALL):
        client.log_batch(journal.run_id, params=parameters[start : start + PARAMETERS_A_CALL])


def _set_tags(client: Any, journal: Journal, entry: Entry) -> None:
    from mlflow.entities import RunTag

    client.log_batch(journal.run_id, tags=[RunTag(key, value) for key, value in entry["values"].items()])


def _log_file(client: Any, journal: Journal, entry: Entry) -> None:
    file = journal.output / entry["path"]
    if not file.exists():
        raise PermanentError(f"{file} no longer exists")
    client.log_artifact(journal.run_id, str(file), entry["into"])


def _log_text(client: Any, journal: Journal, entry: Entry) -> None:
    client.log_text(journal.run_id, entry["text"], entry["name"])


def _log_results(client: Any, journal: Journal, entry: Entry) -> None:
    """Log results.json with no entry pending: this one is the last."""
    results = read_results(journal.output)
    if results is None:
        raise PermanentError(f"{journal.output / 'results.json'} no longer exists")
    results = tracking_record(journal.output).added_to(results)
    if results.tracking is not None:
        results = replace(results, tracking=replace(results.tracking, waiting=0))
    write_results(journal.output, results)
    client.log_artifact(journal.run_id, str(journal.output / "results.json"))


def _log_datasets(client: Any, journal: Journal, entry: Entry) -> None:
    inputs = [dataset_input(LoggedDataset(**values)) for values in entry["values"]]
    client.log_inputs(journal.run_id, inputs)


def _reopen(client: Any, journal: Journal, entry: Entry) -> None:
    client.update_run(journal.run_id, "RUNNING")
    if ERROR in client.get_run(journal.run_id).data.tags:  # of the attempt that is being resumed
        client.delete_tag(journal.run_id, ERROR)


def _end(client: Any, journal: Journal, entry: Entry) -> None:
    client.set_terminated(journal.run_id, entry["status"], entry["time"])


KINDS: dict[str, Callable[[Any, Journal, Entry], None]] = {
    "parameters": _log_parameters,
    "tags": _set_tags,
    "file": _log_file,
    "text": _log_text,
    "datasets": _log_datasets,
    "classifier": log_classifier,
    "register": register_classifier,
    "results": _log_results,
    "reopen": _reopen,
    "end": _end,
}
