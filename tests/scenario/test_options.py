"""The settings of a scenario, the settings that override it, and its effect on a run's digest."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ForkServer

from headstart.config import (
    CELLS,
    STRATEGIES,
    ScenarioConfig,
    compose,
    from_yaml,
    scenario_strategies,
    strategy_overrides,
    to_yaml,
)
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory

CALLS_FOR = {  # freeze schedule and optimizer
    "small_similar": ("all", "adam_fast"),
    "large_similar": ("two_thirds", "adamw"),
    "small_different": ("first_half", "adamw"),
    "large_different": ("none", "adamw"),
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_scenario_sets_freeze_schedule_and_optimizer(cell: str) -> None:
    freeze, optimizer = CALLS_FOR[cell]
    named, alone = compose([f"scenario={cell}"]), compose([f"freeze={freeze}", f"optimizer={optimizer}"])
    assert named.scenario == ScenarioConfig(cell)
    assert (named.freeze, named.optimizer) == (alone.freeze, alone.optimizer)
    assert config_hash(named) == config_hash(alone)  # the name decides nothing


def test_explicit_settings_win_in_any_position() -> None:
    for overrides in (["scenario=large_different", "freeze=gradual"], ["freeze=gradual", "scenario=large_different"]):
        config = compose(overrides)
        assert (config.freeze.name, config.optimizer.name) == ("gradual", "adamw")
    assert compose(["scenario=large_different", "optimizer=sgd"]).freeze.stages[-1].optimizer.name == "sgd"
    assert compose(["scenario=small_similar", "freeze.stages.0.epochs=3"]).freeze.stages[0].epochs == 3


def test_a_scenario_wins_over_a_recipe_s_schedule_and_leaves_the_rest() -> None:
    config = compose(["experiment=dogs_vs_cats", "scenario=small_different"])
    assert (config.freeze.name, config.optimizer.name) == ("first_half", "adamw")
    assert (config.head.name, config.batch_size) == ("flatten64_bn", 8)


def test_shares_that_stay_frozen_are_those_of_the_literature() -> None:
    from headstart.model.freeze import layers_to_train
    from headstart.model.network import build_network

    config = compose(["backbone.weights=none"])
    network = build_network(config.backbone, config.head, 3, 64, seed=0)
    weighted = [layer for layer in network.backbone.layers if layer.weights]
    frozen = {
        cell: 1 - len(layers_to_train(network, compose([f"scenario={cell}"]).freeze.stages[-1].train)) / len(weighted)
        for cell in CELLS
    }
    assert frozen["small_similar"] == 1
    assert 0.6 <= frozen["large_similar"] <= 0.8
    assert 1 / 3 <= frozen["small_different"] <= 0.52  # a whole number of layers is about a half
    assert frozen["large_different"] == 0


def test_auto_may_choose_each_strategy_and_keeps_the_other_overrides() -> None:
    others = ["optimizer.learning_rate=0.5", "epochs=2", "seed=3"]
    config = compose(["scenario=auto", *others])
    strategies = scenario_strategies(config)
    assert list(strategies) == list(STRATEGIES)
    for name, one in strategies.items():
        alone = compose([*strategy_overrides([])[name], *others])
        assert dataclasses.replace(one, scenario=alone.scenario) == alone
    assert from_yaml(to_yaml(config)) == config


def test_what_the_command_sets_is_the_same_in_every_strategy_and_duplicates_are_tried_once() -> None:
    strategies = compose(["scenario=auto", "head=dense512", "augmentation=none", "optimizer=sgd"]).scenario.strategies
    assert {one.head.name for one in strategies.values()} == {"dense512"}
    assert {one.augmentation.name for one in strategies.values()} == {"none"}
    assert {one.optimizer.name for one in strategies.values()} == {"sgd"}
    assert list(strategies) == [
        "freeze=all",
        "freeze=last_two_blocks",
        "freeze=first_half",
        "freeze=none",
        "freeze=last_block",
    ]
    assert all(name == f"freeze={one.freeze.name}" for name, one in strategies.items())
    everything = ["head=linear", "freeze=all", "augmentation=none", "optimizer=sgd"]
    assert list(compose(["scenario=auto", *everything]).scenario.strategies) == ["as given"]


def test_settings_that_do_not_fit_a_strategy_are_refused_before_measuring() -> None:
    with pytest.raises(
        HeadstartError, match=r"^head=multi_depth .*which scenario=auto may choose: .* Received: freeze.stages"
    ):
        compose(["scenario=auto", "freeze.stages.1.epochs=3"])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("scenario=small", "unknown scenario 'small'; choose auto, large_different,"),
        ("scenario.name=tiny", "Expected scenario.name to be one of small_similar.*auto. Received: tiny"),
        ("scenario.seconds=-1", "Expected scenario.seconds to be at least 0. Received: -1"),
        ("scenario.size=3", "unknown key 'scenario.size'"),
    ],
)
def test_a_wrong_scenario_is_refused(override: str, expected: str) -> None:
    with pytest.raises(HeadstartError, match=expected):
        compose([override])


@pytest.mark.slow
def test_the_digest_of_auto_is_known_in_advance_and_does_not_change() -> None:
    config = compose(["scenario=auto"])
    digest = config_hash(config)
    assert digest not in {config_hash(compose(overrides)) for overrides in ([], *([f"scenario={c}"] for c in CELLS))}
    for strategy in scenario_strategies(config).values():
        assert config_hash(strategy) == digest
    assert config_hash(compose(["scenario=auto", "tracking.experiment=other"])) == digest
    others = [["seed=1"], ["optimizer=sgd"], ["freeze=all"], ["freeze.stages.0.epochs=1"], ["dataset=mnist"]]
    others.append(["scenario.seconds=30"])
    assert digest not in {config_hash(compose(["scenario=auto", *other])) for other in others}
    assert config_hash(dataclasses.replace(config, batch_size=5)) != digest


def test_a_stored_configuration_finds_options_in_a_user_s_directory(tmp_path: Path) -> None:
    """As the process of a job or a resumed run, where no command line says where they are."""
    place = tmp_path / "it's mine"
    (place / "freeze").mkdir(parents=True)
    (place / "freeze" / "mine.yaml").write_text("name: mine\nstages:\n  - {name: a, train: head, epochs: 3}\n")
    config = compose(["scenario=auto", "freeze=mine"], [f"file://{place}"])
    code = "import sys; from headstart.config import from_yaml, scenario_strategies"
    code += "; from headstart.config.identity import config_hash"
    code += "; config = from_yaml(sys.stdin.read())"
    code += "; print(*(one.freeze.name for one in scenario_strategies(config).values()), config_hash(config))"
    words = [sys.executable, "-c", code]
    answer = subprocess.run(words, input=to_yaml(config), capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["mine"] * len(config.scenario.strategies) + [config_hash(config)], answer.stderr


def test_a_job_finds_options_in_a_user_s_directory(tmp_path: Path, fork_server: ForkServer) -> None:
    (tmp_path / "freeze").mkdir()
    (tmp_path / "freeze" / "mine.yaml").write_text("name: mine\nstages:\n  - {name: a, train: head, epochs: 3}\n")
    command = ["run.py", "--config-dir", tmp_path, "scenario=auto", "freeze=mine", "backbone=small_cnn"]
    answer = fork_server.run([*command, f"hydra.run.dir={tmp_path / 'run'}"], cwd=conf_directory().parent)
    assert answer.returncode == 1
    assert "error: Expected a backbone with ImageNet weights to measure" in answer.stderr  # so it got through composing
    assert "scenario=small_different" in answer.stderr
