"""From the journal to the tracking store: each entry in its turn, and a second time without a second effect.

An answer may be lost after the store has done what it was asked for, so that it is asked again. Metrics are the same
row with the same time, parameters with the same value are accepted, tags and artifacts replace each other; of runs and
models, which would be made anew, the one that was made is looked for first.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.core.console import console
from headstart.results.file import read_results, write_results
from headstart.tracking.failures import PermanentError, UncertainError, taking
from headstart.tracking.journal import Entry, Journal, tracking_record
from headstart.tracking.store import StoreUnavailable, http_timeouts, import_mlflow, open_store

PARAMETERS_A_CALL = 100  # MLflow's limit
METRICS_A_CALL = 1000  # likewise
SERVED_WITH = ("keras", "tensorflow", "numpy", "pillow", "omegaconf", "rich", "pandas")
MOST_FAILURES = 3  # of a server, with seconds between them, until what it was sent is to blame
Group = list[tuple[Entry, int]]  # entries that are sent together, each with where it ends
PACKAGE = Path(__file__).parents[1]
MODEL = "classifier"
ERROR = "error"  # tag of a run that failed


def send(journal: Journal, uri: str | None = None) -> int:
    """Send what waits in a journal and return how many entries that were.

    Args:
        journal: of the run.
        uri: of the store; None is where the run was begun.

    Raises:
        StoreUnavailable: when the store does not answer; what was sent until then is marked.
    """
    uri = uri or journal.header["uri"]
    import_mlflow(uri)
    before = journal.progress["sent"]
    with http_timeouts(retries=0):
        while journal.waits():
            for group in _groups(journal.waiting()):
                try:
                    _send_group(uri, journal, group)
                except OSError as error:  # a full disk; what was sent will be sent again
                    raise StoreUnavailable(uri, error) from error
    return journal.progress["sent"] - before


def _send_group(uri: str, journal: Journal, group: Group) -> None:
    """Send entries together and mark them; where they are refused send each alone, and set aside what is refused."""
    try:
        _send(uri, journal, [entry for entry, _ in group])
    except PermanentError as error:
        if len(group) > 1:
            for one in group:
                _send_group(uri, journal, [one])
            return
        [(entry, end)] = group
        if not any(told.startswith(f"{entry['kind']}:") for told in journal.progress["refused"]):
            console.print(f"  Warning: not tracked: {entry['kind']}: {error}", markup=False, soft_wrap=True)
        journal.set_aside(entry, end, str(error))
    else:
        journal.mark(len(group), group[-1][1])


def _groups(waiting: Iterator[tuple[Entry, int]]) -> Iterator[Group]:
    """Yield entries that go together, each with where it ends: metrics of many epochs, anything else alone."""
    group: Group = []
    metrics = 0
    for entry, end in waiting:
        more = len(entry["values"]) if entry["kind"] == "metrics" else METRICS_A_CALL
        if group and metrics + more > METRICS_A_CALL:
            yield group
            group, metrics = [], 0
        group.append((entry, end))
        metrics += more
    if group:
        yield group


def _send(uri: str, journal: Journal, entries: list[Entry]) -> None:
    """Do what entries of one kind ask for; a second time where the first one failed and the store answers otherwise.

    Raises:
        StoreUnavailable: when the store is to blame.
        PermanentError: when the entries are.
    """
    kind = entries[0]["kind"]
    if kind == "create":
        return _create(uri, journal, entries[0])

    def attempt() -> None:
        import mlflow

        with taking(uri):
            client = mlflow.MlflowClient(uri)  # here, because it makes a SQLite store that is not there
            if kind == "metrics":
                return _log_metrics(client, journal, entries)
            return KINDS[kind](client, journal, entries[0])

    try:
        attempt()
    except UncertainError as first:
        _expect_taken(uri, journal)
        if first.may_pass and journal.count_failure() < MOST_FAILURES:
            raise StoreUnavailable(uri, first) from first
        try:
            attempt()
        except UncertainError as error:
            raise PermanentError(error) from error


def _expect_taken(uri: str, journal: Journal) -> None:
    """Raise unless the store takes what changes nothing: a tag that the run has.

    Raises:
        StoreUnavailable: when it does not, as where nobody may write, or the run is gone; nothing could be logged then.
    """
    import mlflow

    try:
        with taking(uri):
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


def _log_metrics(client: Any, journal: Journal, entries: list[Entry], model_id: str | None = None) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, entry["time"], entry["step"], model_id=model_id, run_id=journal.run_id)
        for entry in entries
        for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(journal.run_id, metrics=metrics[start : start + METRICS_A_CALL])


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
        raise PermanentError(f"{file} is gone")
    client.log_artifact(journal.run_id, str(file), entry["into"])


def _log_text(client: Any, journal: Journal, entry: Entry) -> None:
    client.log_text(journal.run_id, entry["text"], entry["name"])


def _log_results(client: Any, journal: Journal, entry: Entry) -> None:
    """Log results.json, which is written when the run is over, with nothing said to wait any more."""
    results = read_results(journal.output)
    if results is None:
        raise PermanentError(f"{journal.output / 'results.json'} is gone")
    results = tracking_record(journal.output).added_to(results)
    if results.tracking is not None:
        results = replace(results, tracking=replace(results.tracking, waiting=0))
    write_results(journal.output, results)
    client.log_artifact(journal.run_id, str(journal.output / "results.json"))


def _log_classifier(client: Any, journal: Journal, entry: Entry) -> None:
    """Log the saved classifier as a model that `mlflow models serve` understands, in steps that can be taken again."""
    import mlflow
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Map

    text, number = DataType.string, DataType.double
    answer = {"label": text, "confidence": number, "probabilities": Map(number)}
    signature = ModelSignature(
        Schema([ColSpec(AnyType(), "image")]),  # base64 text or pixels, which `serving` tells apart
        Schema([ColSpec(kind, name) for name, kind in answer.items()]),
    )
    directory = journal.output / entry["path"]
    if not directory.is_dir():
        raise PermanentError(f"{directory} is gone")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    run, experiment_id = client.get_run(journal.run_id), journal.progress["experiment_id"]
    made = client.search_logged_models([experiment_id], f"source_run_id = '{journal.run_id}'")
    model = made[0] if made else client.create_logged_model(experiment_id, MODEL, journal.run_id, {}, run.data.params)
    if model.model_id not in [output.model_id for output in (run.outputs.model_outputs if run.outputs else [])]:
        client.log_outputs(journal.run_id, [LoggedModelOutput(model.model_id, step=0)])
    figures = [entry for entry in journal.entries() if entry["kind"] == "metrics" and entry["step"] == 0]
    _log_metrics(client, journal, figures, model.model_id)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # An example would be predicted at once, which loads the classifier again; the signature is explicit.
        warnings.filterwarnings("ignore", ".*input example was not provided.*")
        mlflow.pyfunc.save_model(
            path=f"{temporary}/model",
            mlflow_model=Model(
                model.artifact_location, journal.run_id, model_uuid=model.model_id, model_id=model.model_id
            ),
            python_model=str(PACKAGE / "serving.py"),
            artifacts={"classifier": directory.absolute().as_uri()},  # a path with a ? would be cut there
            code_paths=[str(PACKAGE)],
            signature=signature,
            pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
        )
        client.log_model_artifacts(model.model_id, f"{temporary}/model")
    client.finalize_logged_model(model.model_id, "READY")


def _reopen(client: Any, journal: Journal, entry: Entry) -> None:
    client.update_run(journal.run_id, "RUNNING")
    if ERROR in client.get_run(journal.run_id).data.tags:  # of the attempt that is gone on with
        client.delete_tag(journal.run_id, ERROR)


def _end(client: Any, journal: Journal, entry: Entry) -> None:
    client.set_terminated(journal.run_id, entry["status"], entry["time"])


KINDS: dict[str, Callable[[Any, Journal, Entry], None]] = {
    "parameters": _log_parameters,
    "tags": _set_tags,
    "file": _log_file,
    "text": _log_text,
    "classifier": _log_classifier,
    "results": _log_results,
    "reopen": _reopen,
    "end": _end,
}
