"""Links to MLflow's pages, in its view for model training: by default it shows the traces of language models."""

from __future__ import annotations

import json
from collections.abc import Sequence

UI_PORT = 5000  # of `headstart ui`, unless it is taken
MODEL_TRAINING = "workflowType=machine_learning"


def run_link(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the link to the page of a run.

    Args:
        uri: of the tracking store; the pages of one that is not a server are those of `headstart ui`.
        experiment_id: of the run's experiment.
        run_id: in the store.
    """
    return f"{_server(uri)}/#{run_path(experiment_id, run_id)}"


def run_path(experiment_id: str, run_id: str) -> str:
    """Return the part of `run_link` after the #, for links from one page of MLflow to another."""
    return f"/experiments/{experiment_id}/runs/{run_id}?{MODEL_TRAINING}"


def experiment_link(uri: str, experiment_id: str, view: str | None = None) -> str:
    """Return the link to the list of an experiment's runs.

    Args:
        uri: see `run_link`.
        experiment_id: in the store.
        view: columns of the list, see `tracking.view`; None: those that the browser remembers.
    """
    shared = f"&viewStateShareKey={view}" if view else ""
    return f"{_server(uri)}/#/experiments/{experiment_id}/runs?{MODEL_TRAINING}{shared}"


def comparison_link(uri: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the link to the page that compares runs of one experiment.

    Args:
        uri: see `run_link`.
        experiment_id: of the runs' experiment.
        run_ids: at least two.
    """
    runs, experiments = (json.dumps(list(ids), separators=(",", ":")) for ids in (run_ids, [experiment_id]))
    return f"{_server(uri)}/#/compare-runs?runs={runs}&experiments={experiments}&{MODEL_TRAINING}"


def _server(uri: str) -> str:
    return uri.rstrip("/") if uri.startswith("http") else f"http://127.0.0.1:{UI_PORT}"
