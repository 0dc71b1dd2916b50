"""MLflow; the only package that talks to the tracking store."""

from headstart.tracking.reading import fetch_run, log_results, logged_runs
from headstart.tracking.run import Tracker, flatten, tracked_run
from headstart.tracking.store import check_store, import_mlflow, store_uri
from headstart.tracking.stored_run import StoredRun

__all__ = [
    "StoredRun",
    "Tracker",
    "check_store",
    "fetch_run",
    "flatten",
    "import_mlflow",
    "log_results",
    "logged_runs",
    "store_uri",
    "tracked_run",
]
