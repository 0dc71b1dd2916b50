"""Where MLflow keeps the runs: the address, the connection, a SQLite store that is made whole or not at all."""

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

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")  # MLflow's
SECONDS_TO_ANSWER = "20"  # a server that hangs; MLflow's own patience is two minutes
DATABASES = (SQLITE, "postgresql", "mysql", "mssql")  # a server chooses for itself where artifacts go


class StoreUnavailable(HeadstartError):
    """The tracking store does not answer; what is logged can be sent when it does."""

    def __init__(self, uri: str, reason: object) -> None:
        """Say which store it is.

        Args:
            uri: of the store.
            reason: what was heard instead of an answer; its first line is told.
        """
        self.reason = first_line(reason)
        super().__init__(f"Expected a tracking store at {uri} (tracking.uri). Received: {self.reason}")


def store_uri(config: TrackingConfig) -> str:
    """Return the tracking store's address: the configured one, else a SQLite file among the outputs.

    Raises:
        HeadstartError: when a server is asked for without its address, or the address is none that MLflow takes.
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


def expect_address(uri: str, key: str = "tracking.uri") -> None:
    """Raise unless the address of a tracking store says what kind of store it is.

    Args:
        uri: as somebody wrote it.
        key: that it was given for.

    Raises:
        HeadstartError: with the address that was probably meant.
    """
    scheme, separator, rest = uri.partition("://")
    name = scheme.partition("+")[0].lower()  # without the driver, as in postgresql+psycopg
    if uri == "databricks" or (separator and name in {*SCHEMES, *_other_schemes()}):
        return
    if uri.startswith("file:") or Path(uri).name == "mlruns" or absolute(uri).is_dir():
        hint = "; MLflow's store of plain files is no longer kept up, a database is one file: sqlite:///mlflow.db"
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
    """Return the schemes that plugins of MLflow add."""
    return {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}


def import_mlflow(uri: str) -> None:
    """Import MLflow, which takes more than a second, without its telemetry and what it says about its tables.

    Args:
        uri: of the store, see `store_uri`; decides what else is loaded that its first use would load.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # headstart says where to look
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # its tracebacks, of what is said in a line
    import mlflow

    if uri.startswith(DATABASES):
        import mlflow.store.db.utils
        import mlflow.store.tracking.sqlalchemy_store

        mlflow.store.db.utils.MAX_RETRY_COUNT = 3  # 10 are 102 seconds until a database that is down is said to be


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
        with http_timeouts(retries=1), _alone(uri):
            database = sqlite_file(uri)
            if database is not None and not database.exists():
                _create_store(database)
            yield _experiment_id(uri, experiment)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a database's driver
        raise StoreUnavailable(uri, error) from error


@contextlib.contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Say in one sentence what is wrong where the store does not answer, soon."""
    import_mlflow(uri)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with http_timeouts(retries=1):
            yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        raise HeadstartError(
            f"Expected a tracking store at {uri} that has it. Received: {first_line(error)}"
        ) from error


def has_lost(uri: str, run_id: str) -> bool:
    """Return whether a store answers, and says that it has no such run any more.

    Args:
        uri: of the store.
        run_id: of a run that was made in it.
    """
    import_mlflow(uri)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with http_timeouts(retries=1):
            return not is_not_made(uri) and mlflow.MlflowClient(uri).get_run(run_id).info.lifecycle_stage != "active"
    except MlflowException as error:
        return error.error_code == "RESOURCE_DOES_NOT_EXIST"
    except (SQLAlchemyError, OSError):
        return False


def is_not_made(uri: str) -> bool:
    """Return whether a store is a SQLite file that is not there yet, which MLflow would make when it is asked."""
    database = sqlite_file(uri)
    return database is not None and not database.exists()


def artifacts_directory(uri: str) -> Path | None:
    """Return where the artifacts of a store lie that headstart makes; None where a server has them.

    Args:
        uri: of the store, see `store_uri`.
    """
    return _artifacts_of_database(uri) if uri.startswith(DATABASES) else None


def _artifacts_of_database(uri: str) -> Path:
    database = sqlite_file(uri)
    return (outputs_directory() if database is None else database.parent) / "mlartifacts"


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
        mlflow.MlflowClient(sqlite_uri(partial)).search_experiments(max_results=1)
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
        mlflow.create_experiment(name, artifact_location=(_artifacts_of_database(uri) / name).as_uri())
    return mlflow.set_experiment(name).experiment_id


@contextlib.contextmanager
def http_timeouts(retries: int) -> Iterator[None]:
    """Find out soon that a server does not answer, unless the environment says how long to wait.

    Args:
        retries: how often MLflow asks again by itself. Where something is made it must not, because the answer may be
            all that was lost.
    """
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": SECONDS_TO_ANSWER}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _alone(uri: str) -> contextlib.AbstractContextManager[Any]:
    """Return a lock beside a SQLite store, whose migrations break when several processes create it at once."""
    database = sqlite_file(uri)
    if database is None:
        return contextlib.nullcontext()  # a server guards itself
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{database}.lock")


def first_line(error: object) -> str:
    """Return the first line of an error that says something, its type otherwise."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
