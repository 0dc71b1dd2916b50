"""MLflow: one run a job, one epoch axis."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from headstart.tracking.store import open_store
from headstart.tracking.stored_run import StoredRun

PARAMETERS_A_CALL = 100  # MLflow's limit
METRICS_A_CALL = 1000  # likewise
SECONDS_BETWEEN_WRITES = 1.0  # of epochs; a page that is looked at while a run trains is no older
LONGEST_PARAMETER = 6000  # characters, MLflow's limit; the whole configuration is an artifact beside it
SERVED_WITH = ("keras", "tensorflow", "numpy", "pillow", "omegaconf", "rich", "pandas")
PACKAGE = Path(__file__).parents[1]


class Tracker:
    """Logs one run; made by `tracked_run`."""

    def __init__(self, run_id: str, experiment_id: str) -> None:
        self.run_id, self.experiment_id = run_id, experiment_id
        self._waiting: list[Any] = []  # mlflow.entities.Metric, of epochs that ended in quick succession
        self._wrote = 0.0  # when, seconds of the monotonic clock

    def log_parameters(self, config: Any) -> None:
        """Log every value of a configuration (a dataclass) under its dotted key."""
        import mlflow

        flat = {key: str(value)[:LONGEST_PARAMETER] for key, value in flatten(dataclasses.asdict(config)).items()}
        items = list(flat.items())
        for start in range(0, len(items), PARAMETERS_A_CALL):
            mlflow.log_params(dict(items[start : start + PARAMETERS_A_CALL]))

    def log_metrics(self, metrics: dict[str, float], epoch: int | None = None) -> None:
        """Log figures, those of an epoch with its number counted over all stages.

        An epoch of a cached stage takes less time than writing it. Epochs that end within SECONDS_BETWEEN_WRITES of the
        last writing wait for the next one, or for `flush`.
        """
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        self._waiting += [Metric(key, float(value), now, epoch or 0) for key, value in metrics.items()]
        if epoch is None or time.monotonic() - self._wrote >= SECONDS_BETWEEN_WRITES:
            self.flush()

    def flush(self) -> None:
        """Write the figures that wait."""
        import mlflow

        while self._waiting:
            mlflow.MlflowClient().log_batch(self.run_id, metrics=self._waiting[:METRICS_A_CALL])
            del self._waiting[:METRICS_A_CALL]
        self._wrote = time.monotonic()

    def log_files(self, files: Iterable[Path], into: str | None = None) -> None:
        """Log files, all into one directory of the run's artifacts."""
        import mlflow

        for file in files:
            mlflow.log_artifact(str(file), into)

    def describe(self, markdown: str, tags: dict[str, str]) -> None:
        """Set what the run's page shows on top, and tags to search by."""
        import mlflow

        mlflow.set_tags({**tags, "mlflow.note.content": markdown})

    def log_classifier(self, directory: Path) -> None:
        """Log the saved classifier as a model that `mlflow models serve` understands.

        Args:
            directory: what `save_classifier` wrote.
        """
        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema
        from mlflow.types.schema import AnyType, Map

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        text, number = DataType.string, DataType.double
        answer = {"label": text, "confidence": number, "probabilities": Map(number)}
        signature = ModelSignature(
            Schema([ColSpec(AnyType(), "image")]),  # base64 text or pixels, which `serving` tells apart
            Schema([ColSpec(kind, name) for name, kind in answer.items()]),
        )
        with warnings.catch_warnings():
            # An example would be predicted at once, which loads the classifier again; the signature is explicit.
            warnings.filterwarnings("ignore", ".*input example was not provided.*")
            mlflow.pyfunc.log_model(
                name="classifier",
                python_model=str(PACKAGE / "serving.py"),
                artifacts={"classifier": str(directory)},
                code_paths=[str(PACKAGE)],
                signature=signature,
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
            )


@contextlib.contextmanager
def tracked_run(uri: str, experiment: str, name: str, tags: dict[str, str]) -> Iterator[Tracker]:
    """Open a run in the tracking store and close it as FINISHED, FAILED or KILLED.

    Args:
        uri: of the store, see `store_uri`.
        experiment: that the run belongs to; made when it is not there.
        name: of the run.
        tags: to search by.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    os.environ.pop("MLFLOW_RUN_ID", None)  # would make this run continue somebody else's
    with open_store(uri, experiment) as experiment_id:
        import mlflow

        run = mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=tags)
    status, tracker = "FAILED", Tracker(run.info.run_id, experiment_id)
    try:
        yield tracker
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        StoredRun(uri, run.info.run_id).explain(reason, "".join(traceback.format_exception(error)))
        raise
    finally:
        try:
            tracker.flush()
        finally:
            mlflow.end_run(status)


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries and lists as one dictionary with dotted keys.

    Args:
        node: dictionaries, lists and plain values.
        prefix: key of the node itself.
    """
    if isinstance(node, dict):
        members: list[tuple[Any, Any]] = list(node.items())
    elif isinstance(node, list):
        members = list(enumerate(node))
    else:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, member in members:
        flat.update(flatten(member, f"{prefix}.{key}" if prefix else str(key)))
    return flat
