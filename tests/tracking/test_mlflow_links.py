"""The links to MLflow's pages, and what MLflow is told about an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.tracking import check_store, comparison_link, experiment_link, newest_experiment, run_link, tracked_run
from headstart.tracking.view import VIEW, experiment_tags


def test_every_link_opens_the_view_for_model_training() -> None:
    server = "https://tracking.example.org/"
    assert run_link(server, "7", "abc") == (
        "https://tracking.example.org/#/experiments/7/runs/abc?workflowType=machine_learning"
    )
    assert experiment_link(server, "7") == (
        "https://tracking.example.org/#/experiments/7/runs?workflowType=machine_learning"
    )
    assert comparison_link(server, "7", ["abc", "def"]) == (
        'https://tracking.example.org/#/compare-runs?runs=["abc","def"]&experiments=["7"]&workflowType=machine_learning'
    )


def test_links_into_a_database_are_to_the_pages_of_headstart_ui() -> None:
    assert run_link("sqlite:////data/mlflow.db", "1", "abc").startswith("http://127.0.0.1:5000/#/experiments/1/")


def test_an_experiment_is_tagged_and_what_somebody_chose_stays(outputs: Path, tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{outputs / 'mlflow.db'}"
    check_store(uri, "new")
    client = mlflow.MlflowClient(uri)
    chosen = {"mlflow.experimentKind": "genai_development", "team": "birds"}
    mine = client.create_experiment("mine_already", tags=chosen)
    client.set_experiment_tag(mine, f"mlflow.sharedViewState.{VIEW}", "{}")  # of another version of headstart
    for name in ("new", "mine_already"):
        with tracked_run(uri, name, "a run", {}, tmp_path / name):
            pass
    assert client.get_experiment_by_name("new").tags == experiment_tags()
    expected = {**experiment_tags(), **chosen}
    assert client.get_experiment(mine).tags == expected
    assert newest_experiment(uri) == (mine, VIEW)


def test_an_experiment_that_cannot_be_tagged_stops_no_run(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    uri = f"sqlite:///{outputs / 'mlflow.db'}"
    check_store(uri, "new")
    mlflow.MlflowClient(uri).create_experiment("untagged")

    def refuse(*_: Any) -> None:
        raise mlflow.exceptions.MlflowException("Permission denied")

    monkeypatch.setattr(mlflow.MlflowClient, "set_experiment_tag", refuse)
    with tracked_run(uri, "untagged", "a run", {}, tmp_path / "run") as tracker:
        pass
    assert mlflow.MlflowClient(uri).get_run(tracker.run_id).info.status == "FINISHED"
    assert newest_experiment(uri)[1] is None  # a link that names missing columns shows an error


def test_the_columns_of_the_list_are_shown_in_their_order() -> None:
    view = json.loads(experiment_tags()[f"mlflow.sharedViewState.{VIEW}"])
    assert view["selectedColumns"][:3] == [f"metrics.`test_accuracy{end}`" for end in ("", "_low", "_high")]
    assert view["columnOrder"][0] == "attributes.`Run Name`"
    assert set(view["columnWidths"]) == set(view["columnOrder"])
