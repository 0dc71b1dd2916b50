"""Addresses of tracking stores: wrong ones are refused with a suggestion, and paths are escaped."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.config import TrackingConfig
from headstart.core.errors import HeadstartError
from headstart.core.sqlite_uri import absolute_uri, sqlite_file, sqlite_uri
from headstart.tracking import expect_address, store_uri


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000",
        "https://mlflow.example.com/team",
        "sqlite:///store.db",
        "sqlite:////srv/store.db?timeout=30",
        "postgresql://me@host/mlflow",
        "postgresql+psycopg://me@host/mlflow",
        "mysql+pymysql://me@host/mlflow",
        "databricks",
        "databricks://profile",
    ],
)
def test_addresses_that_mlflow_accepts(uri: str) -> None:
    expect_address(uri)


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("127.0.0.1:5055", "did you mean http://127.0.0.1:5055?"),
        ("localhost:5000", "did you mean http://localhost:5000?"),
        ("mlflow.example.com", "did you mean http://mlflow.example.com?"),
        ("mlflow.example.com/team", "did you mean http://mlflow.example.com/team?"),
        ("mlflow", "did you mean http://mlflow?"),
        ("htp://host:5000", "did you mean http://host:5000?"),
        ("postgres://me@host/db", "did you mean postgresql://me@host/db?"),
        ("/srv/mlflow.db", "did you mean sqlite:////srv/mlflow.db?"),
        ("./mlflow.db", "mlflow.db?"),
        ("mlflow.db", "mlflow.db?"),
        ("mlruns", "use a database file instead: sqlite:///mlflow.db"),
        ("/srv/mlruns", "use a database file instead: sqlite:///mlflow.db"),
        ("file:///srv/store", "use a database file instead: sqlite:///mlflow.db"),
        ("/tmp", "use a database file instead: sqlite:///mlflow.db"),
    ],
)
def test_an_address_without_its_scheme_is_refused(uri: str, hint: str) -> None:
    with pytest.raises(HeadstartError) as error:
        store_uri(TrackingConfig("server", uri))
    assert str(error.value).startswith("Expected tracking.uri to begin with http://, https://, sqlite:///, postgresql:")
    assert f"Received: {uri}" in str(error.value)
    assert str(error.value).endswith(hint)


@pytest.mark.parametrize("name", ["plain", "a b", "é 猫", "a:b", "a%20b", "a?b", "a#b", "100%", "a%20b?c#d&e=f"])
def test_any_path_has_an_address(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from sqlalchemy import create_engine

    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path / name))
    (tmp_path / name).mkdir()
    address = store_uri(TrackingConfig("local"))
    assert sqlite_file(address) == tmp_path / name / "mlflow.db"
    with sqlite3.connect(tmp_path / name / "mlflow.db") as connection:
        connection.execute("CREATE TABLE there (id INTEGER)")
    connection.close()
    engine = create_engine(address)
    with engine.connect() as connected:
        assert connected.exec_driver_sql("SELECT count(*) FROM there").scalar() == 0
    engine.dispose()


@pytest.mark.parametrize("address", ["http://host:5000", "sqlite:///:memory:", "sqlite://", "postgresql://host/db"])
def test_what_is_no_file(address: str) -> None:
    assert sqlite_file(address) is None
    assert absolute_uri(address, Path("/base")) == address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:///store.db", "sqlite:////base/store.db"),
        ("sqlite:///below/store.db?timeout=3", "sqlite:////base/below/store.db?timeout=3"),
        ("sqlite:////srv/store.db", "sqlite:////srv/store.db"),
    ],
)
def test_a_relative_path_is_relative_to_where_the_command_was_given(address: str, expected: str) -> None:
    assert absolute_uri(address, Path("/base")) == expected


def test_a_relative_path_below_a_directory_that_has_to_be_escaped() -> None:
    base = Path("/a%20b?c")
    assert sqlite_file(absolute_uri("sqlite:///store.db", base)) == base / "store.db"
    assert absolute_uri(sqlite_uri(base / "store.db"), Path("/other")) == sqlite_uri(base / "store.db")
