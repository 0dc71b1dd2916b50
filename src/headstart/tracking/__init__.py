"""MLflow tracking: the only package that talks to the tracking store.

`classifier/serving.py` imports MLflow too, because MLflow itself runs that file to serve a model.
"""

from headstart.tracking.flatten import flatten
from headstart.tracking.in_worker import prepare_tracking, tracking_worker
from headstart.tracking.journal import (
    JournalInUseError,
    count_pending,
    record_tracking,
    report_refused_entries,
    tracking_record,
)
from headstart.tracking.links import UI_PORT, comparison_link, experiment_link, run_link, run_path
from headstart.tracking.reading import fetch_run, list_run_ids, newest_experiment
from headstart.tracking.resend import pending_journals, send_pending
from headstart.tracking.run import Tracker, begin_run, continue_run, log_results, tracked_run
from headstart.tracking.served_model import save_served_model
from headstart.tracking.store import (
    StoreUnavailable,
    artifacts_directory,
    check_store,
    expect_address,
    expect_registered_name,
    import_mlflow,
    store_uri,
)

__all__ = [
    "UI_PORT",
    "JournalInUseError",
    "StoreUnavailable",
    "Tracker",
    "artifacts_directory",
    "begin_run",
    "check_store",
    "comparison_link",
    "continue_run",
    "count_pending",
    "expect_address",
    "expect_registered_name",
    "experiment_link",
    "fetch_run",
    "flatten",
    "import_mlflow",
    "list_run_ids",
    "log_results",
    "newest_experiment",
    "pending_journals",
    "prepare_tracking",
    "record_tracking",
    "report_refused_entries",
    "run_link",
    "run_path",
    "save_served_model",
    "send_pending",
    "store_uri",
    "tracked_run",
    "tracking_record",
    "tracking_worker",
]
