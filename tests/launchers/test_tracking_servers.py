"""Four jobs at once write to an MLflow server and to PostgreSQL: nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from launched import check_finished, check_tracked, launch, needs

from local_services import mlflow_server, postgres, postgres_programs

JOBS = 4
FOUR = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={JOBS}", f"seed=range({JOBS})", "tracking=server", "epochs=5"]
POSTGRES = pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed")

pytestmark = [pytest.mark.slow, needs("hydra_plugins.hydra_joblib_launcher", "joblib")]


def test_an_mlflow_server(folder: Path, tmp_path: Path) -> None:
    with mlflow_server() as variables:
        answer = launch(tmp_path, *FOUR, f"dataset.root={folder}", **variables)
        check_finished(tmp_path, answer, JOBS)
        check_tracked(tmp_path, JOBS, variables["MLFLOW_TRACKING_URI"])


@POSTGRES
@needs("psycopg", "postgres")
def test_postgresql(folder: Path, tmp_path: Path) -> None:
    with postgres() as variables:
        uri = variables["DATABASE_URL"]
        answer = launch(tmp_path, *FOUR, f"dataset.root={folder}", f"tracking.uri={uri}")
        check_finished(tmp_path, answer, JOBS)
        check_tracked(tmp_path, JOBS, uri)


@POSTGRES
@needs("psycopg", "postgres")
def test_an_mlflow_server_before_postgresql(folder: Path, tmp_path: Path) -> None:
    with postgres() as database, mlflow_server(database["DATABASE_URL"]) as variables:
        answer = launch(tmp_path, *FOUR, f"dataset.root={folder}", **variables)
        check_finished(tmp_path, answer, JOBS)
        check_tracked(tmp_path, JOBS, variables["MLFLOW_TRACKING_URI"])
