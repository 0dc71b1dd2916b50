"""The MLflow tracking store: its address, its connection, and the SQLite store that headstart creates by default."""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from headstart.config import TrackingConfig
from headstart.core.errors import HeadstartError
from headstart.core.paths import absolute, outputs_directory
from headstart.core.sqlite_uri import SQLITE, absolute_uri, sqlite_file, sqlite_uri
from headstart.tracking.view import experiment_tags, tag_experiment

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")  # MLflow's
HTTP_TIMEOUT = "20"  # seconds; MLflow's default is two minutes
DATABASES = (SQLITE, "postgresql", "mysql", "mssql")  # headstart chooses their artifact location, a server its own


class StoreUnavailable(HeadstartError):
    """The tracking store does not answer; logged data can be sent when it does."""

    def __init__(self, uri: str, reason: object) -> None:
        """Name the store and the reason.

        Args:
            uri: of the store.
            reason: an error or a text, whose first line is shown.
        """
        self.uri, self.reason = uri, first_line(reason)
        super().__init__(f"Expected a tracking store at {uri} (tracking.uri). Received: {self.reason}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Let the error pass from one process to another."""
        return type(self), (self.uri, self.reason)


def store_uri(config: TrackingConfig) -> str:
    """Return the tracking store's address: the configured one, else a SQLite file in the outputs directory.

    Raises:
        HeadstartError: when `tracking=server` has no address, or MLflow does not accept the address.
    """
    if config.uri:
        expect_address(config.uri)
        return absolute_uri(config.uri, Path.cwd())
    if config.name == "server":
        raise HeadstartError(
            "Expected tracking.uri to be the address of an MLflow server, for example "
            "tracking.uri=http://localhost:5000 or the environment variable MLFLOW_TRACKING_URI. Received: null"
        )
    return sqlite_uri(outputs_directory() / "mlflow.db")


def expect_registered_name(config: TrackingConfig) -> None:
    """Check that MLflow's registry takes the name in `tracking.register`, if there is one.

    Args:
        config: the section `tracking`.

    Raises:
        HeadstartError: when it does not.
    """
    name = config.register
    if name is not None and (not name.strip() or set("/:") & set(name)):
        raise HeadstartError(f"Expected tracking.register to be a name without / and :. Received: {name!r}")


def expect_address(uri: str, key: str = "tracking.uri") -> None:
    """Check that a tracking address has a scheme that MLflow accepts.

    Args:
        uri: as the user wrote it.
        key: configuration key or option that it was given for.

    Raises:
        HeadstartError: with the address that was probably meant.
    """
    scheme, separator, rest = uri.partition("://")
    name = scheme.partition("+")[0].lower()  # without the driver, as in postgresql+psycopg
    if uri == "databricks" or (separator and name in {*SCHEMES, *_other_schemes()}):
        return
    if uri.startswith("file:") or Path(uri).name == "mlruns" or absolute(uri).is_dir():
        hint = "; MLflow has deprecated its file store, use a database file instead: sqlite:///mlflow.db"
    elif separator:
        similar = difflib.get_close_matches(name, SCHEMES, n=1)
        hint = f"; did you mean {similar[0]}://{rest}?" if similar else ""
    elif re.fullmatch(r"[\w-]+(\.[\w-]+)*(:\d+)?(/.*)?", uri) and Path(uri).suffix not in (".db", ".sqlite"):
        hint = f"; did you mean http://{uri}?"
    else:
        hint = f"; did you mean {sqlite_uri(absolute(uri))}?"
    raise HeadstartError(
        f"Expected {key} to begin with http://, https://, sqlite:///, postgresql:// or another scheme of MLflow. "
        f"Received: {uri}{hint}"
    )


def _other_schemes() -> set[str]:
    """Return the schemes that MLflow plugins add."""
    return {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}


def import_mlflow(uri: str) -> None:
    """Import MLflow, which takes more than a second, with telemetry and database migration messages turned off.

    Args:
        uri: of the store, see `store_uri`; for a database, the modules that its first use needs are imported too.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # headstart prints the address itself
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # headstart replaces tracebacks by one line
    import mlflow

    if uri.startswith(DATABASES):
        import mlflow.store.db.utils
        import mlflow.store.tracking.sqlalchemy_store

        mlflow.store.db.utils.MAX_RETRY_COUNT = 3  # with the default of 10, an unreachable database takes 102 seconds


def check_store(uri: str, experiment: str) -> None:
    """Check within seconds that the store can be used, and create the experiment if necessary.

    Args:
        uri: of the store, see `store_uri`.
        experiment: its name.

    Raises:
        HeadstartError: when the store cannot be reached.
    """
    with open_store(uri, experiment):
        pass


@contextlib.contextmanager
def open_store(uri: str, experiment: str) -> Iterator[str]:
    """Yield the id of an experiment, creating it and a SQLite store if necessary, under a lock for SQLite.

    Raises:
        StoreUnavailable: when the store cannot be reached.
    """
    import_mlflow(uri)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        mlflow.set_tracking_uri(uri)
        with http_timeouts(retries=1), store_lock(uri):
            database = sqlite_file(uri)
            if database is not None and not database.exists():
                _create_store(database)
            yield _experiment_id(uri, experiment)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a missing database driver
        raise StoreUnavailable(uri, error) from error


@contextlib.contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Raise errors of the store as HeadstartError with one line, after short timeouts."""
    import_mlflow(uri)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with http_timeouts(retries=1):
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        raise HeadstartError(
            f"Expected a tracking store at {uri} that has the run. Received: {first_line(error)}"
        ) from error


def is_run_deleted(uri: str, run_id: str) -> bool:
    """Return whether a run no longer exists in the store; False if the store is unreachable.

    Args:
        uri: of the store.
        run_id: of a run that was created in it.
    """
    import_mlflow(uri)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with http_timeouts(retries=1):
            return (
                not is_missing_sqlite(uri) and mlflow.MlflowClient(uri).get_run(run_id).info.lifecycle_stage != "active"
            )
    except MlflowException as error:
        return error.error_code == "RESOURCE_DOES_NOT_EXIST"
    except (SQLAlchemyError, OSError):
        return False


def is_missing_sqlite(uri: str) -> bool:
    """Return whether the store is a SQLite file that does not exist; MLflow would create it when opened."""
    database = sqlite_file(uri)
    return database is not None and not database.exists()


def artifacts_directory(uri: str) -> Path | None:
    """Return the artifact directory of a database store; None for a server, which keeps its own artifacts.

    Args:
        uri: of the store, see `store_uri`.
    """
    return _artifacts_of_database(uri) if uri.startswith(DATABASES) else None


def _artifacts_of_database(uri: str) -> Path:
    database = sqlite_file(uri)
    return (outputs_directory() if database is None else database.parent) / "mlartifacts"


def _create_store(database: Path) -> None:
    """Create a SQLite store atomically.

    MLflow builds it in hundreds of transactions and flushes each of them to disk, which takes seconds. Under a
    temporary name, one flush at the end is enough.
    """
    import mlflow
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def do_not_wait(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    # MLflow caches stores by name, so each attempt needs a new name.
    partial = database.with_name(f".{database.name}-{uuid4().hex}.partial")
    event.listen(Engine, "connect", do_not_wait)
    try:
        mlflow.MlflowClient(sqlite_uri(partial)).search_experiments(max_results=1)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(database)
    finally:
        event.remove(Engine, "connect", do_not_wait)
        partial.unlink(missing_ok=True)


def _experiment_id(uri: str, name: str) -> str:
    """Return the id of an experiment, creating it if necessary."""
    import mlflow

    if uri.startswith(DATABASES) and mlflow.get_experiment_by_name(name) is None:
        # By default MLflow would put the artifacts into the working directory.
        place = (_artifacts_of_database(uri) / name).as_uri()
        mlflow.create_experiment(name, artifact_location=place, tags=experiment_tags())
    experiment = mlflow.set_experiment(name)
    tag_experiment(mlflow.MlflowClient(uri), experiment)
    return experiment.experiment_id


@contextlib.contextmanager
def http_timeouts(retries: int) -> Iterator[None]:
    """Set short HTTP timeouts and few retries for MLflow, unless the environment sets its own.

    Args:
        retries: that MLflow makes by itself. Use 0 for requests that create something: the request may have succeeded
            and only its answer been lost.
    """
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": HTTP_TIMEOUT}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def store_lock(uri: str) -> contextlib.AbstractContextManager[Any]:
    """Return a lock for a SQLite store, whose migrations fail when several processes create it at once."""
    database = sqlite_file(uri)
    if database is None:
        return contextlib.nullcontext()  # servers handle concurrency themselves
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock")


def first_line(error: object) -> str:
    """Return the first line of an error's message, or its type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
