"""MLflow; the only package that talks to the tracking store."""

from headstart.tracking.journal import UnderWay, count_waiting, record_tracking, say_refused, what_is_tracked
from headstart.tracking.reading import fetch_run, logged_runs
from headstart.tracking.resend import send_waiting, waiting_journals
from headstart.tracking.run import Tracker, begin_run, continue_run, flatten, log_results, tracked_run
from headstart.tracking.store import (
    StoreAway,
    artifacts_directory,
    check_store,
    expect_address,
    import_mlflow,
    store_uri,
)

__all__ = [
    "StoreAway",
    "Tracker",
    "UnderWay",
    "artifacts_directory",
    "begin_run",
    "check_store",
    "continue_run",
    "count_waiting",
    "expect_address",
    "fetch_run",
    "flatten",
    "import_mlflow",
    "log_results",
    "logged_runs",
    "record_tracking",
    "say_refused",
    "send_waiting",
    "store_uri",
    "tracked_run",
    "waiting_journals",
    "what_is_tracked",
]
