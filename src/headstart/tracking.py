"""MLflow: one run a job, one epoch axis; the only file that talks to the tracking store."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from headstart.config import TrackingConfig
from headstart.console import console
from headstart.errors import HeadstartError
from headstart.files import file_name, write_json
from headstart.paths import outputs_directory

SQLITE = "sqlite:///"
PLAIN_FILE = rf"{SQLITE}[^?:]+"  # no options behind the path, and not the database in memory
DATABASES = (SQLITE, "postgresql", "mysql", "mssql")  # a server chooses for itself where artifacts go
PARAMETERS_A_CALL = 100  # MLflow's limit
LONGEST_TAG = 5000  # characters, MLflow's limit
METRICS_A_CALL = 1000  # likewise
SECONDS_BETWEEN_WRITES = 1.0  # of epochs; a page that is looked at while a run trains is no older
LONGEST_PARAMETER = 6000  # characters, MLflow's limit; the whole configuration is an artifact beside it
COMPARED = {"config.yaml", "splits.csv", "predictions.csv", "history.csv", "results.json"}  # what a comparison reads
NO_RESULTS = "no results.json among its artifacts: it did not finish"
SERVED_WITH = ("keras", "tensorflow", "numpy", "pillow", "omegaconf", "rich", "pandas")


def store_uri(config: TrackingConfig) -> str:
    """Return the tracking store's address: the configured one, else a SQLite file among the outputs.

    Raises:
        HeadstartError: when a server is asked for without its address.
    """
    if config.uri:
        return config.uri
    if config.name == "server":
        raise HeadstartError(
            "Expected tracking.uri to be the address of an MLflow server, for example "
            "tracking.uri=http://localhost:5000 or the environment variable MLFLOW_TRACKING_URI. Received: null"
        )
    return f"{SQLITE}{outputs_directory() / 'mlflow.db'}"


def import_mlflow(uri: str) -> None:
    """Import MLflow, which takes more than a second, without its telemetry and what it says about its tables.

    Args:
        uri: of the store, see `store_uri`; decides what else is loaded that its first use would load.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    if uri.startswith(SQLITE):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


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

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        signature = ModelSignature(Schema([ColSpec(DataType.string, "image")]))
        with warnings.catch_warnings():
            # An example would be predicted at once, which loads the classifier again; the signature is explicit.
            warnings.filterwarnings("ignore", ".*input example was not provided.*")
            mlflow.pyfunc.log_model(
                name="classifier",
                python_model=str(Path(__file__).with_name("serving.py")),
                artifacts={"classifier": str(directory)},
                code_paths=[str(Path(__file__).parent)],
                signature=signature,
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
            )


def check_store(uri: str, experiment: str) -> None:
    """Find out in seconds whether a store can be used; makes the experiment.

    Args:
        uri: of the store, see `store_uri`.
        experiment: that runs will belong to.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    with _store(uri, experiment):
        pass


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
    with _store(uri, experiment) as experiment_id:
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
        with _store(uri, experiment) as experiment_id:
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


@contextlib.contextmanager
def _store(uri: str, experiment: str) -> Iterator[str]:
    """Yield the id of an experiment, in a store that is made when it is not there, to nobody else meanwhile.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    import_mlflow(uri)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        mlflow.set_tracking_uri(uri)
        with _few_retries(), _alone(uri):
            if re.fullmatch(PLAIN_FILE, uri) and not _database(uri).exists():
                _create_store(_database(uri))
            yield _experiment_id(uri, experiment)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a database's driver
        reason = str(error).strip().splitlines()[0]
        raise HeadstartError(f"Expected a tracking store at {uri} (tracking.uri). Received: {reason}") from error


def log_results(uri: str, run_id: str, file: Path) -> None:
    """Log results.json, which is written when the run is over, so that a comparison elsewhere can fetch it.

    Args:
        uri: of the store.
        run_id: of a run in it that has ended.
        file: the run's results.json.
    """
    import mlflow

    mlflow.MlflowClient(uri).log_artifact(run_id, str(file))


def logged_runs(uri: str, experiment: str) -> list[str]:
    """Return the ids of an experiment's runs in the store, oldest first; none where store or experiment is not there.

    Args:
        uri: of the store.
        experiment: its name. Runs that hold others, such as those of sweeps, have no configuration and are left out.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    if re.fullmatch(PLAIN_FILE, uri) and not _database(uri).exists():
        return []
    with _reachable(uri):
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
    if re.fullmatch(PLAIN_FILE, uri) and not _database(uri).exists():
        raise HeadstartError(f"Expected a run's directory or MLflow id. Received: {run_id}; no store at {uri} knows it")
    with _reachable(uri):
        import mlflow

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        client = mlflow.MlflowClient(uri)
        run = client.get_run(run_id)
        logged = {item.path for item in client.list_artifacts(run_id)}
        for name in sorted(COMPARED & logged):
            client.download_artifacts(run_id, name, str(directory))
    if "results.json" not in logged:  # it failed, or is of before results.json was logged
        status = run.info.status if run.info.status != "FINISHED" else "UNFINISHED"
        write_json(directory / "results.json", {"run_id": run_id, "status": status, "error": NO_RESULTS})
    return directory


@contextlib.contextmanager
def _reachable(uri: str) -> Iterator[None]:
    """Say in one sentence what is wrong where the store does not answer, soon."""
    import_mlflow(uri)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _few_retries():
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HeadstartError(f"Expected a tracking store at {uri} that has it. Received: {reason}") from error


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


def _create_store(database: Path) -> None:
    """Create a SQLite store, whole or not at all.

    MLflow builds it in hundreds of transactions, and waits for the disk after each of them, for seconds. Under a
    temporary name it is enough to wait at the end.
    """
    import mlflow
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def do_not_wait(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    # MLflow keeps the store of each name, so that the next attempt needs another one.
    partial = database.with_name(f".{database.name}-{uuid4().hex}.partial")
    event.listen(Engine, "connect", do_not_wait)
    try:
        mlflow.MlflowClient(f"{SQLITE}{partial}").search_experiments(max_results=1)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(database)
    finally:
        event.remove(Engine, "connect", do_not_wait)
        partial.unlink(missing_ok=True)


def _experiment_id(uri: str, name: str) -> str:
    """Return the id of an experiment that is made when it is not there."""
    import mlflow

    if uri.startswith(DATABASES) and mlflow.get_experiment_by_name(name) is None:
        # MLflow would put the artifacts below the working directory.
        beside = _database(uri).parent if uri.startswith(SQLITE) else outputs_directory()
        mlflow.create_experiment(name, artifact_location=(beside / "mlartifacts" / name).as_uri())
    return mlflow.set_experiment(name).experiment_id


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    """Find out in seconds that a server does not answer; once a run is under way MLflow's patience is welcome."""
    variable = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    given = os.environ.get(variable)
    os.environ[variable] = given or "2"
    try:
        yield
    finally:
        if given is None:
            del os.environ[variable]


def _alone(uri: str) -> contextlib.AbstractContextManager[Any]:
    """Return a lock beside a SQLite store, whose migrations break when several processes create it at once."""
    if not uri.startswith(SQLITE):
        return contextlib.nullcontext()  # a server guards itself
    database = _database(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock")


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE)).absolute()
