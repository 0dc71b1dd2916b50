"""Sends metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.tracking.journal import Entry, Journal

METRICS_A_CALL = 1000  # MLflow's limit


@dataclass(frozen=True)
class Measured:
    """What metrics were measured of: a model, on data sets."""

    model_id: str | None = None
    datasets: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name and digest, by prefix of the metrics


RUN = Measured()


def log_metrics(client: Any, journal: Journal, entries: list[Entry], measured: Measured = RUN) -> None:
    """Log entries of metrics to the run, and to a model if there is one.

    Args:
        client: `mlflow.MlflowClient` of the store.
        journal: of the run.
        entries: of the kind `metrics`.
        measured: of what.
    """
    from mlflow.entities import Metric

    metrics = [
        Metric(
            *(key, value, entry["time"], entry["step"]),
            *(measured.model_id, *measured.datasets.get(key.partition("_")[0], (None, None)), journal.run_id),
        )
        for entry in entries
        for key, value in entry["values"].items()
    ]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(journal.run_id, metrics=metrics[start : start + METRICS_A_CALL])
