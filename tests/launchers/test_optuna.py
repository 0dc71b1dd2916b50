"""`hydra/sweeper=optuna` proposes values, learns, continues after failures, and continues an earlier study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launched import check_tracked, launch, needs, results_of, sweep_of

pytestmark = [pytest.mark.slow, needs("optuna", "optuna")]
RATE = "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))"


def best(outputs: Path) -> list[dict]:
    return json.loads((sweep_of(outputs) / "best_trials.json").read_text())["trials"]


def better(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def test_the_best_trial_is_that_with_the_highest_accuracy(folder: Path, tmp_path: Path) -> None:
    arguments = ["hydra/sweeper=optuna", f"dataset.root={folder}", RATE, "head=linear,dense512"]
    answer = launch(tmp_path, *arguments, "hydra.sweeper.n_trials=3")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    results = results_of(tmp_path)
    assert len({result["command"] for result in results}) == 1
    accuracies = [result["splits"]["validation"]["accuracy"] for result in results]
    assert len(accuracies) == 3
    assert {trial["values"][0] for trial in best(tmp_path)} == {max(accuracies)}
    before, _, after = answer.stdout.partition("Best of 3 trials")
    assert before.count(": finished in") == 3
    assert f"validation {max(accuracies):.1%}" in after
    check_tracked(tmp_path, 3)

    answer = launch(tmp_path, *arguments, "hydra.sweeper.n_trials=4")  # the same proposals, and one more
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert ": 1 finished, 3 done before" in answer.stdout


def test_failed_trials_do_not_end_the_study(folder: Path, tmp_path: Path) -> None:
    arguments = ["hydra/sweeper=optuna", RATE, f"dataset.root={folder},{tmp_path / 'lost'}"]
    answer = launch(tmp_path, *arguments, "hydra.sweeper.n_trials=4")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    statuses = [result["status"] for result in results_of(tmp_path)]
    assert len(statuses) == 4
    assert set(statuses) == {"FINISHED", "FAILED"}  # the seed of the proposals decides how many
    assert f"({statuses.count('FAILED')} failed)" in answer.stdout


def test_accuracy_against_seconds_in_a_database_that_is_continued(folder: Path, tmp_path: Path) -> None:
    storage = f"hydra.sweeper.storage=sqlite:///{tmp_path}/study.db"
    arguments = ["hydra/sweeper=optuna", "objective=accuracy_and_seconds", storage, f"dataset.root={folder}", RATE]
    for trials in (1, 3):
        answer = launch(tmp_path, *arguments, f"hydra.sweeper.n_trials={trials}")
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert f"Best of {trials} trials" in answer.stdout
    results = results_of(tmp_path)
    assert len(results) == 3  # the first one was not run again
    figures = {(item["splits"]["validation"]["accuracy"], item["seconds"]["total"]) for item in results}
    front = {one for one in figures if not any(better(other, one) for other in figures)}
    assert {tuple(trial["values"]) for trial in best(tmp_path)} == front


def test_a_search_over_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    answer = launch(tmp_path, "hydra/sweeper=optuna", f"dataset.root={folder}")
    assert answer.returncode == 1
    assert "Expected something to search" in answer.stderr
