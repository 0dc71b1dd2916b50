"""A run in the tracking store that this process has not open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headstart.console import console
from headstart.tracking.store import import_mlflow, open_store

LONGEST_TAG = 5000  # characters, MLflow's limit


class StoredRun:
    """A run known by its id that this process has not open: the parent of a sweep, one whose process died."""

    def __init__(self, uri: str, run_id: str) -> None:
        """Find the run in its store.

        Args:
            uri: of the store, see `store_uri`.
            run_id: of the run.
        """
        import_mlflow(uri)
        import mlflow

        self.run_id, self.client = run_id, mlflow.MlflowClient(uri)

    @classmethod
    def create(cls, uri: str, experiment: str, name: str, tags: dict[str, str]) -> StoredRun:
        """Make a run that is under way until `end` is called.

        Args:
            uri: of the store, see `store_uri`.
            experiment: that the run belongs to; made when it is not there.
            name: of the run.
            tags: to search by.

        Raises:
            HeadstartError: when the store cannot be reached.
        """
        with open_store(uri, experiment) as experiment_id:
            import mlflow

            run = mlflow.MlflowClient(uri).create_run(experiment_id, tags=tags, run_name=name)
        return cls(uri, run.info.run_id)

    def log_files(self, files: Iterable[Path], into: str | None = None) -> None:
        """Log files, all into one directory of the run's artifacts."""
        for file in files:
            self.client.log_artifact(self.run_id, str(file), into)

    def explain(self, reason: str, details: str) -> None:
        """Say why the run failed.

        Args:
            reason: its first line becomes a tag.
            details: becomes an artifact, such as the traceback.
        """
        try:
            self.client.set_tag(self.run_id, "error", reason.strip().splitlines()[0][:LONGEST_TAG])
            self.client.log_text(self.run_id, details, "error.txt")
        except Exception as second:  # noqa: BLE001  # the store may be what failed; the first error is raised all the same
            console.print(f"  Warning: the error could not be tracked: {second}", markup=False, soft_wrap=True)

    def describe(self, markdown: str, tags: dict[str, str]) -> None:
        """Set what the run's page shows on top, and tags to search by."""
        for key, value in {**tags, "mlflow.note.content": markdown}.items():
            self.client.set_tag(self.run_id, key, value)

    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Log figures of the whole run."""
        for key, value in metrics.items():
            self.client.log_metric(self.run_id, key, value)

    def is_there(self) -> bool:
        """Return whether the store knows the run."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(self.run_id).info.lifecycle_stage == "active"
        except MlflowException:
            return False

    def end(self, status: str) -> None:
        """Set the run's end to now.

        Args:
            status: `FINISHED`, `FAILED` or `KILLED`.
        """
        self.client.set_terminated(self.run_id, status)

    def reopen(self) -> None:
        """Say that the run is under way again."""
        self.client.update_run(self.run_id, "RUNNING")
