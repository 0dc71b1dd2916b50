"""Cross-validation folds are pooled, and the four scenarios are drawn."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written import configured, write_run

from headstart.comparison import Run, compare, read_run
from headstart.comparison.figures import scenario_figure
from headstart.comparison.significance import compare_with_best, rank_strategies
from headstart.comparison.strategies import group_runs
from headstart.comparison.table import make_rows
from headstart.config import CrossValidationConfig, ScenarioConfig

FOLDS, IMAGES = 4, 80


def extended(run: Run, **nodes: Any) -> Run:
    """Return a run whose configuration has other nodes."""
    assert run.config is not None
    return Run(run.directory, run.results, dataclasses.replace(run.config, **nodes), run.error)


def fold_run(directory: Path, freeze: str, seed: int, fold: int, right: np.ndarray) -> Run:
    """Write a run that was tested on every fourth image, and gets those right that it is told."""
    write_run(directory, configured(f"freeze={freeze}", seed=seed), images=20)
    splits = [[f"{i}.png", "0", "test" if i % FOLDS == fold else "train", f"digest {i}"] for i in range(IMAGES)]
    rows = [
        [path, "test", label, "0" if right[i] else "1", int(right[i]), 0.9, 0.9, 0.1]
        for i, (path, label, split, _) in enumerate(splits)
        if split == "test"
    ]
    columns = ["path", "split", "label", "predicted", "correct", "confidence", "probability_0", "probability_1"]
    for name, content in (
        ("splits.csv", [["path", "label", "split", "digest"], *splits]),
        ("predictions.csv", [columns, *rows]),
    ):
        with (directory / name).open("w", newline="") as file:
            csv.writer(file).writerows(content)
    return extended(read_run(directory), cv=CrossValidationConfig(FOLDS, fold))


def folds(directory: Path, seeds: int) -> list[Run]:
    """Return four folds of two strategies: one misses the first ten images, the other none but the last one."""
    runs = []
    for freeze, wrong in (("all", range(10)), ("none", range(IMAGES - 1, IMAGES))):
        right = ~np.isin(np.arange(IMAGES), wrong)
        for seed in range(seeds):
            runs += [fold_run(directory / f"{freeze}{seed}{fold}", freeze, seed, fold, right) for fold in range(FOLDS)]
    return runs


def test_folds_are_one_strategy_and_their_predictions_are_pooled(tmp_path: Path) -> None:
    strategies, _, _ = group_runs(folds(tmp_path, seeds=1))
    assert [(one.label, one.seeds, one.folds) for one in strategies] == [
        ("freeze=all", [0], [0, 1, 2, 3]),
        ("freeze=none", [0], [0, 1, 2, 3]),
    ]
    interval = strategies[0].test_accuracy()
    assert interval is not None
    assert interval.mean == pytest.approx(70 / 80)
    assert interval.method == "t, 4 folds"
    # One seed: each image was predicted once by each strategy; 10 against 1 images that only one gets right.
    found = compare_with_best(strategies)[1]
    assert (found.method, found.p_value) == ("McNemar", pytest.approx(24 / 2048))


@pytest.mark.slow
def test_several_seeds_of_all_folds_are_bootstrapped(tmp_path: Path) -> None:
    strategies, _, _ = group_runs(folds(tmp_path, seeds=2))
    rows = make_rows(strategies, compare_with_best(strategies))
    assert [row.runs for row in rows] == ["2 x 4", "2 x 4"]
    assert rows[1].significance.method == "bootstrap"
    assert rows[1].significance.difference == pytest.approx(9 / 80)


@pytest.mark.slow
def test_folds_that_one_strategy_lacks_are_left_out_of_the_test(tmp_path: Path) -> None:
    runs = [run for run in folds(tmp_path, seeds=1) if run.directory.name != "none03"]
    found = compare_with_best(group_runs(runs)[0])[1]
    # Of the images of the folds 0 to 2: eight of the ten that the first one misses, none that the second one misses.
    assert (found.method, found.p_value) == ("McNemar", pytest.approx(2 / 2**8))


@pytest.mark.slow
def test_a_scenario_replaces_its_schedule_in_the_name(tmp_path: Path) -> None:
    runs = [
        extended(write_run(tmp_path / name, configured(f"freeze={freeze}"), accuracy), scenario=ScenarioConfig(name))
        for name, freeze, accuracy in (
            ("small_similar", "all", 0.8),
            ("small_different", "first_half", 0.9),
            ("large_different", "none", 0.85),
        )
    ]
    strategies = rank_strategies(group_runs(runs)[0])
    assert strategies[0].label == "scenario=small_different"
    rows = make_rows(strategies, compare_with_best(strategies))
    figure = scenario_figure(strategies, rows)
    assert figure is not None
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"scenario=small_similar", "scenario=small_different", "scenario=large_different", "no run"} <= texts
    assert compare(runs, tmp_path / "comparison").page.with_name("scenarios.png").is_file()
    plain = [write_run(tmp_path / str(i), configured(f"freeze={name}")) for i, name in enumerate(("all", "none"))]
    strategies = rank_strategies(group_runs(plain)[0])
    assert scenario_figure(strategies, make_rows(strategies, compare_with_best(strategies))) is None
