"""Reads runs back from the tracking store, for comparisons on another machine."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.files import file_name
from headstart.results.file import write_results
from headstart.results.types import RunResults
from headstart.tracking.store import is_missing_sqlite, reachable
from headstart.tracking.view import VIEW, tag_experiment

COMPARED = {"config.yaml", "splits.csv", "predictions.csv", "history.csv", "results.json"}  # artifacts
NO_RESULTS = "no results.json among its artifacts: it did not finish"


def list_run_ids(uri: str, experiment: str) -> list[str]:
    """Return the ids of an experiment's runs, oldest first; none if the store or the experiment does not exist.

    Parent runs, such as those of sweeps, have no configuration and are left out.

    Args:
        uri: of the store.
        experiment: its name.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    if is_missing_sqlite(uri):
        return []
    with reachable(uri):
        import mlflow

        client = mlflow.MlflowClient(uri)
        found = client.get_experiment_by_name(experiment)
        ids: list[str] = []
        token = None
        while found:
            page = client.search_runs([found.experiment_id], order_by=["attributes.start_time"], page_token=token)
            ids += [run.info.run_id for run in page if "config_hash" in run.data.tags]
            token = page.token
            if not token:
                break
    return ids


def fetch_run(uri: str, run_id: str, into: Path) -> Path:
    """Download the artifacts of a run that a comparison reads, and return their directory.

    Args:
        uri: of the store.
        run_id: of the run.
        into: the directory is created in it.

    Raises:
        HeadstartError: when the store cannot be reached or has no such run.
    """
    directory = into / file_name(run_id)
    directory.mkdir(parents=True)
    if is_missing_sqlite(uri):
        raise HeadstartError(
            f"Expected a run's directory or MLflow run id. Received: {run_id}; there is no tracking store at {uri}"
        )
    with reachable(uri):
        import mlflow

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        client = mlflow.MlflowClient(uri)
        run = client.get_run(run_id)
        logged = {item.path for item in client.list_artifacts(run_id)}
        for name in sorted(COMPARED & logged):
            client.download_artifacts(run_id, name, str(directory))
    if "results.json" not in logged:  # the run failed, or its version did not log results.json yet
        status = run.info.status if run.info.status != "FINISHED" else "UNFINISHED"
        write_results(directory, RunResults(run_id=run_id, status=status, error=NO_RESULTS))
    return directory


def newest_experiment(uri: str) -> tuple[str, str | None]:
    """Return the id of the experiment of the newest run, and the name of its columns for `experiment_link`.

    Args:
        uri: of the store.

    Raises:
        HeadstartError: when there is no store yet, or it cannot be reached.
    """
    if is_missing_sqlite(uri):
        raise HeadstartError(f"No runs are tracked in {uri} yet. `headstart train` makes the first one.")
    with reachable(uri):
        import mlflow

        client = mlflow.MlflowClient(uri)
        experiments = {one.experiment_id: one for one in client.search_experiments()}
        runs = client.search_runs(list(experiments), order_by=["attributes.start_time DESC"], max_results=1)
        if not runs:
            return "0", None
        experiment = experiments[runs[0].info.experiment_id]
        return experiment.experiment_id, VIEW if tag_experiment(client, experiment) else None
