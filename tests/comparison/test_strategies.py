"""Runs are grouped into strategies, named by the settings that differ."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from written import composed, configured, write_failed, write_run

from headstart.comparison.collect import Run, read_run, read_runs
from headstart.comparison.significance import (
    NO_TEST,
    OTHER_IMAGES,
    compare_with_best,
    find_negative_transfer,
    rank_strategies,
)
from headstart.comparison.strategies import group_runs
from headstart.core.errors import HeadstartError

FEW = {"images": 60}


def labels(directory: Path, *configurations: tuple[str, ...]) -> list[str]:
    """Return the labels of one run each."""
    runs = [write_run(directory / str(i), composed(*words), **FEW) for i, words in enumerate(configurations)]
    return [strategy.label for strategy in group_runs(runs)[0]]


@pytest.mark.parametrize(
    ("configurations", "expected"),
    [
        (
            [("freeze=all", "head=svm"), ("freeze=none", "head=linear")],
            ["head=svm freeze=all", "head=linear freeze=none"],
        ),
        # The stages carry the run's optimizer; its own value stands for theirs.
        (
            [("optimizer.learning_rate=0.001",), ("optimizer.learning_rate=0.01",)],
            ["optimizer.learning_rate=0.001", "optimizer.learning_rate=0.01"],
        ),
        ([("optimizer=adam",), ("optimizer=sgd",)], ["optimizer=adam", "optimizer=sgd"]),
        ([("epochs=1",), ("epochs=2",)], ["epochs=1", "epochs=2"]),
        # An option's name stands for its values, but not where they differ under the same name.
        (
            [("freeze=all",), ("freeze=none", "freeze.stages.1.epochs=3"), ("freeze=none",)],
            ["freeze=all", "freeze=none freeze.stages.1.epochs=3", "freeze=none freeze.stages.1.epochs=10"],
        ),
        (
            [("freeze=surgical",), ("freeze=surgical", "freeze.stages.1.train={blocks: [block2]}")],
            ["freeze.stages.1.train={blocks: [block1]}", "freeze.stages.1.train={blocks: [block2]}"],
        ),
        (
            [("tracking.experiment=one", "inference_backend=tensorflow")],
            ["backbone=efficientnet_lite0 head=linear freeze=last_two_blocks"],
        ),
    ],
)
def test_a_strategy_is_named_by_what_differs(
    tmp_path: Path, configurations: list[tuple[str, ...]], expected: list[str]
) -> None:
    assert labels(tmp_path, *configurations) == expected


def test_seeds_and_keys_that_decide_no_result_make_no_strategy(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured(seed=0), **FEW),
        write_run(tmp_path / "1", configured("tracking.experiment=other", "cache=off", seed=1), **FEW),
        write_run(tmp_path / "2", configured("dataset.fraction=0.5", seed=1), **FEW),
    ]
    strategies, unfinished, notes = group_runs(runs)
    assert [(strategy.label, strategy.seeds) for strategy in strategies] == [
        ("dataset.fraction=1", [0, 1]),
        ("dataset.fraction=0.5", [1]),
    ]
    assert not unfinished
    assert not notes


def test_two_options_with_the_same_values_are_one_strategy(tmp_path: Path) -> None:
    assert len(labels(tmp_path, ("head.name=linear",), ("head.name=mine", "freeze.stages.0.name=first"))) == 1


def test_a_learning_rate_finder_run_is_no_strategy(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured(), **FEW),
        write_failed(tmp_path / "1", configured(find_lr=True), "ValueError: first"),
    ]
    (strategy,), unfinished, (note,) = group_runs(runs)
    assert "find_lr" not in strategy.label
    assert not unfinished
    assert note == "1 is left out: it ran the learning-rate finder and has no accuracy"


def test_a_run_that_was_repeated_counts_once(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(i), configured(), accuracy=accuracy) for i, accuracy in enumerate((0.5, 0.9))]
    (strategy,), _, (note,) = group_runs(runs)
    assert strategy.runs == (runs[1],)
    assert "1 earlier run(s) of the same seed are left out" in note


def test_a_failed_run_is_named_unless_its_seed_finished_later(tmp_path: Path) -> None:
    runs = [
        write_failed(tmp_path / "0", configured(seed=0), "ValueError: first"),
        write_run(tmp_path / "1", configured(seed=0), **FEW),
        write_failed(tmp_path / "2", configured(seed=1), "ValueError: second\nand more"),
        write_failed(tmp_path / "3", configured(seed=2), "ValueError: third", overrides=("seed=2", "x=1")),
    ]
    (strategy,), unfinished, _ = group_runs(runs)
    assert strategy.failed == 2
    assert [(name.split()[-2:], run.error) for name, run in unfinished] == [
        (["freeze=last_two_blocks", "seed=1"], "ValueError: second"),
        (["seed=2", "x=1"], "ValueError: third"),
    ]


def test_directories_of_runs_that_ended_badly(tmp_path: Path) -> None:
    write_run(tmp_path / "0", configured(), **FEW)
    (tmp_path / "0" / "predictions.csv").unlink()
    write_run(tmp_path / "1", configured(), **FEW)
    (tmp_path / "1" / "results.json").unlink()
    write_run(tmp_path / "2", configured(), **FEW)
    (tmp_path / "2" / "results.json").write_text('{"status": "FINI')
    write_run(tmp_path / "10", configured(), **FEW)
    (tmp_path / "10" / "config.yaml").write_text("nonsense: 1\n")
    (tmp_path / "empty").mkdir()
    runs = read_runs(tmp_path)
    assert [run.directory.name for run in runs] == ["0", "1", "2", "10"]
    assert [run.status for run in runs] == ["FINISHED", "UNFINISHED", "UNFINISHED", "FINISHED"]
    for run, says in zip(runs, ("predictions.csv is missing", "killed", "Unterminated", "nonsense"), strict=True):
        assert run.error is not None
        assert says in run.error
    strategies, unfinished, _ = group_runs(runs)
    assert not strategies
    assert len(unfinished) == 4
    with pytest.raises(HeadstartError, match="Expected a run's directory"):
        read_run(tmp_path / "empty")


def compared(runs: list[Run]) -> dict[str, str]:
    strategies = rank_strategies(group_runs(runs)[0])
    return {
        s.label: significance.outcome for s, significance in zip(strategies, compare_with_best(strategies), strict=True)
    }


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_best_is_chosen_by_validation_and_the_others_are_tested_against_it(tmp_path: Path, seeds: int) -> None:
    runs = []
    for name, accuracy in (("none", 0.93), ("last_block", 0.92), ("all", 0.7)):
        for seed in range(seeds):
            config = configured(f"freeze={name}", seed=seed)
            runs.append(write_run(tmp_path / str(len(runs)), config, accuracy))
    found = compared(runs)
    assert found.pop("freeze=all") == "worse"
    assert sorted(found.values()) == ["best", "tie"]


def test_other_images_are_never_paired(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured("freeze=all"), 0.9),
        write_run(tmp_path / "1", configured("freeze=none"), 0.6, data=1),
        write_run(tmp_path / "2", configured("freeze=last_block"), 0.6),
    ]
    assert compared(runs) == {"freeze=all": "best", "freeze=last_block": "worse", "freeze=none": OTHER_IMAGES}


def test_the_same_configuration_on_other_images_is_another_strategy(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(data), configured(), data=data, **FEW) for data in (0, 1)]
    strategies, _, _ = group_runs(runs)
    assert len(strategies) == 2
    assert all(" images=" in strategy.label for strategy in strategies)


def test_without_test_images_there_is_no_test(tmp_path: Path) -> None:
    runs = []
    for i, name in enumerate(("all", "none")):
        directory = write_run(tmp_path / str(i), configured(f"freeze={name}"), **FEW).directory
        with (directory / "predictions.csv").open(newline="") as file:
            rows = [row for row in csv.reader(file) if row[1] != "test"]
        with (directory / "predictions.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        runs.append(read_run(directory))
    assert set(compared(runs).values()) == {NO_TEST}


def flags(runs: list[Run]) -> list[tuple[str, str, str]]:
    found = find_negative_transfer(rank_strategies(group_runs(runs)[0]))
    return [(flag.strategy.label, flag.floor_name, flag.floor.label) for flag in found]


def test_negative_transfer_is_flagged_where_the_test_supports_it(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured("freeze=all"), 0.9),
        write_run(tmp_path / "1", configured("freeze=none"), 0.7),
        write_run(tmp_path / "2", configured("freeze=last_block"), 0.89),
    ]
    assert flags(runs) == [("freeze=none", "the frozen probe", "freeze=all")]


def test_below_training_from_scratch(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured("backbone=small_cnn", "freeze=none"), 0.95),
        write_run(tmp_path / "1", configured("freeze=all"), 0.7),
        write_run(tmp_path / "2", configured("freeze=last_block"), 0.94),
    ]
    assert flags(runs) == [
        ("backbone=efficientnet_lite0 freeze=all", "training from scratch", "backbone=small_cnn freeze=none")
    ]


def test_a_probe_of_another_head_is_no_floor(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "0", configured("freeze=all", "head=dense512"), 0.95),
        write_run(tmp_path / "1", configured("freeze=none", "head=linear"), 0.7),
    ]
    assert flags(runs) == []
