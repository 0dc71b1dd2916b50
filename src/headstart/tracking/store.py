"""Where MLflow keeps the runs: the address, the connection, a SQLite store that is made whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from headstart.config import TrackingConfig
from headstart.errors import HeadstartError
from headstart.paths import outputs_directory

SQLITE = "sqlite:///"
PLAIN_FILE = rf"{SQLITE}[^?:]+"  # no options behind the path, and not the database in memory
DATABASES = (SQLITE, "postgresql", "mysql", "mssql")  # a server chooses for itself where artifacts go


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


def check_store(uri: str, experiment: str) -> None:
    """Find out in seconds whether a store can be used; makes the experiment.

    Args:
        uri: of the store, see `store_uri`.
        experiment: that runs will belong to.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    with open_store(uri, experiment):
        pass


@contextlib.contextmanager
def open_store(uri: str, experiment: str) -> Iterator[str]:
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
            if is_not_made(uri):
                _create_store(database_file(uri))
            yield _experiment_id(uri, experiment)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a database's driver
        reason = str(error).strip().splitlines()[0]
        raise HeadstartError(f"Expected a tracking store at {uri} (tracking.uri). Received: {reason}") from error


@contextlib.contextmanager
def reachable(uri: str) -> Iterator[None]:
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


def is_not_made(uri: str) -> bool:
    """Return whether a store is a SQLite file that is not there yet, which MLflow would make when it is asked."""
    return re.fullmatch(PLAIN_FILE, uri) is not None and not database_file(uri).exists()


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
        beside = database_file(uri).parent if uri.startswith(SQLITE) else outputs_directory()
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
    database = database_file(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock")


def database_file(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE)).absolute()
