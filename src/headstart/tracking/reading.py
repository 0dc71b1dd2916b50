"""Reading runs back from the tracking store, for comparisons on another machine."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.files import file_name
from headstart.results.file import write_results
from headstart.results.types import RunResults
from headstart.tracking.store import is_not_made, reachable

COMPARED = {"config.yaml", "splits.csv", "predictions.csv", "history.csv", "results.json"}  # what a comparison reads
NO_RESULTS = "no results.json among its artifacts: it did not finish"


def logged_runs(uri: str, experiment: str) -> list[str]:
    """Return the ids of an experiment's runs in the store, oldest first; none where store or experiment is not there.

    Args:
        uri: of the store.
        experiment: its name. Runs that hold others, such as those of sweeps, have no configuration and are left out.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    if is_not_made(uri):
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
    """Fetch what a comparison reads of a run from the store, and return the directory that holds it.

    Args:
        uri: of the store.
        run_id: of the run.
        into: gets a directory of the run's own.

    Raises:
        HeadstartError: when the store cannot be reached or has no such run.
    """
    directory = into / file_name(run_id)
    directory.mkdir(parents=True)
    if is_not_made(uri):
        raise HeadstartError(f"Expected a run's directory or MLflow id. Received: {run_id}; no store at {uri} knows it")
    with reachable(uri):
        import mlflow

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        client = mlflow.MlflowClient(uri)
        run = client.get_run(run_id)
        logged = {item.path for item in client.list_artifacts(run_id)}
        for name in sorted(COMPARED & logged):
            client.download_artifacts(run_id, name, str(directory))
    if "results.json" not in logged:  # it failed, or is of before results.json was logged
        status = run.info.status if run.info.status != "FINISHED" else "UNFINISHED"
        write_results(directory, RunResults(run_id=run_id, status=status, error=NO_RESULTS))
    return directory
