"""Sends metrics."""

from __future__ import annotations

from typing import Any

from headstart.tracking.journal import Entry, Journal

METRICS_A_CALL = 1000  # MLflow's limit


def log_metrics(client: Any, journal: Journal, entries: list[Entry], model_id: str | None = None) -> None:
    """Log entries of metrics to the run, and to a model if there is one.

    Args:
        client: `mlflow.MlflowClient` of the store.
        journal: of the run.
        entries: of the kind `metrics`.
        model_id: of the model.
    """
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, entry["time"], entry["step"], model_id=model_id, run_id=journal.run_id)
        for entry in entries
        for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(journal.run_id, metrics=metrics[start : start + METRICS_A_CALL])
