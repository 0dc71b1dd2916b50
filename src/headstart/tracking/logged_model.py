"""Logs the saved classifier as a model of MLflow, and registers it, in steps that can be repeated."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import Any

from headstart.core.console import console
from headstart.tracking.datasets import LoggedDataset
from headstart.tracking.failures import PermanentError
from headstart.tracking.journal import Entry, Journal
from headstart.tracking.metrics import Measured, log_metrics
from headstart.tracking.served_model import save_served_model
from headstart.tracking.store import store_lock

PREFIXES = {"validation": "val", "test": "test"}  # of the metrics of each split
FORBIDDEN = "/:.%\"'"  # characters that MLflow does not take in the name of a logged model


def log_classifier(client: Any, journal: Journal, entry: Entry) -> None:
    """Log the saved classifier, named after its run, as a model that `mlflow models serve` can load.

    Args:
        client: `mlflow.MlflowClient` of the store.
        journal: of the run.
        entry: of the kind `classifier`.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    directory = journal.output / entry["path"]
    if not directory.is_dir():
        raise PermanentError(f"{directory} no longer exists")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    run, experiment_id = client.get_run(journal.run_id), journal.progress["experiment_id"]
    model = find_model(client, journal)
    if model is None:
        name, tags = model_name(journal.header["name"]), {"mlflow.note.content": _description(entry)}
        model = client.create_logged_model(experiment_id, name, journal.run_id, tags, run.data.params)
    if model.model_id not in [output.model_id for output in (run.outputs.model_outputs if run.outputs else [])]:
        client.log_outputs(journal.run_id, [LoggedModelOutput(model.model_id, step=0)])
    log_metrics(client, journal, _main_metrics(journal), Measured(model.model_id, _measured_on(journal)))
    with tempfile.TemporaryDirectory() as temporary:
        identity = Model(model.artifact_location, journal.run_id, model_uuid=model.model_id, model_id=model.model_id)
        save_served_model(directory, Path(temporary, "model"), identity)
        client.log_model_artifacts(model.model_id, f"{temporary}/model")
    client.finalize_logged_model(model.model_id, "READY")
    journal.progress["model_id"] = model.model_id


def register_classifier(client: Any, journal: Journal, entry: Entry) -> None:
    """Register the logged classifier, and say what became of it.

    Args:
        client: `mlflow.MlflowClient` of the store.
        journal: of the run.
        entry: of the kind `register`.
    """
    from headstart.tracking.registration import CHAMPION, PREDICTIONS, register

    model = find_model(client, journal)
    if model is None:
        raise PermanentError("the store has no model of this run to register")
    with store_lock(client.tracking_uri):  # jobs of a sweep that end together
        run = client.get_run(journal.run_id)
        found = register(client, entry["name"], model, run, journal.output / PREDICTIONS)
    journal.progress["registration"] = dataclasses.asdict(found)
    became = f"which is {CHAMPION}: {found.reason}" if found.champion else found.reason
    text = f"  Registered as {found.name} version {found.version}{', ' if found.champion else '; '}{became}"
    console.print(text, markup=False)


def find_model(client: Any, journal: Journal) -> Any | None:
    """Return the logged model of a run; None if there is none yet.

    Args:
        client: `mlflow.MlflowClient` of the store.
        journal: of the run.
    """
    found = client.search_logged_models([journal.progress["experiment_id"]], f"source_run_id = '{journal.run_id}'")
    return found[0] if found else None


def model_name(run_name: str) -> str:
    """Return the name of a run without the characters that MLflow refuses in the name of a model.

    Args:
        run_name: of the run.
    """
    return run_name.translate(str.maketrans(FORBIDDEN, "_" * len(FORBIDDEN)))


def _description(entry: Entry) -> str:
    serve = "Serve it: `mlflow models serve -m models:/MODEL_ID --env-manager local`"
    return "\n\n".join(part for part in (entry.get("description"), serve) if part)


def _measured_on(journal: Journal) -> dict[str, tuple[str, str]]:
    """Return name and digest of the data sets by the prefix of the metrics that were measured on them."""
    logged = [
        LoggedDataset(**values) for one in journal.entries() if one["kind"] == "datasets" for values in one["values"]
    ]
    return {PREFIXES[one.context]: (one.name, one.digest) for one in logged if one.context in PREFIXES}


def _main_metrics(journal: Journal) -> list[Entry]:
    """Return the metrics of the whole run without a prefix that were logged before the classifier."""
    before = takewhile(lambda entry: entry["kind"] != "classifier", journal.entries())
    entries = [entry for entry in before if entry["kind"] == "metrics" and entry["step"] == 0]
    return [
        {**entry, "values": {key: value for key, value in entry["values"].items() if "/" not in key}}
        for entry in entries
    ]
