from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import jobs_of
from omegaconf import OmegaConf

from headstart.config import OptimizerConfig, compose, conf_directory, from_yaml, to_yaml
from headstart.errors import HeadstartError
from headstart.help import comments

OPTIONS = sorted(f"{file.parent.name}={file.stem}" for file in conf_directory().glob("*/*.yaml"))
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_shipped_option_composes_and_explains_itself(option: str) -> None:
    group, _, name = option.partition("=")
    config = compose([option])
    if group != "experiment":  # an experiment sets values of other groups
        # an optimizer's name is the algorithm: adam_gentle is adam with other values
        assert getattr(config, group).name == (name.partition("_")[0] if group == "optimizer" else name)
    purpose, command = comments(conf_directory() / group / f"{name}.yaml")[:2]
    assert 20 < len(purpose) < 130
    assert command.startswith("python run.py ")


@pytest.mark.parametrize("option", OPTIONS)
def test_the_command_in_an_option_composes(option: str) -> None:
    group, _, name = option.partition("=")
    command = comments(conf_directory() / group / f"{name}.yaml")[1]
    overrides = command.removeprefix("python run.py ").split()
    assert any(override.startswith(f"{group}={name}") for override in overrides)
    for job in jobs_of(overrides):
        compose(job)


@pytest.mark.parametrize("file", sorted((conf_directory() / "sweep").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_job_of_a_shipped_sweep_composes(file: Path) -> None:
    parameters = OmegaConf.load(file).hydra.sweeper.params
    jobs = jobs_of([f"{key}={value}" for key, value in parameters.items()])
    assert len(jobs) > 4
    for job in jobs:
        compose([f"sweep={file.stem}", *job])


def test_yaml_gives_the_same_configuration_back() -> None:
    config = compose(["freeze=gradual", "head=dense512", "optimizer=adamw", "seed=3"])
    assert from_yaml(to_yaml(config)) == config


def test_a_stage_inherits_the_optimizer_and_replaces_single_values() -> None:
    config = compose(["optimizer=sgd", "optimizer.learning_rate=0.5", "freeze=last_block"])
    head, last = config.freeze.stages
    assert isinstance(head.optimizer, OptimizerConfig)
    assert (head.optimizer.name, head.optimizer.learning_rate, head.optimizer.momentum) == ("sgd", 0.5, 0.9)
    assert (last.optimizer.name, last.optimizer.momentum) == ("sgd", 0.9)
    assert last.optimizer.learning_rate < 0.5


def test_any_value_of_a_stage_s_optimizer_can_be_set_from_the_command_line() -> None:
    stage = compose(["freeze=last_block", "freeze.stages.1.optimizer.schedule.warmup_epochs=2"]).freeze.stages[1]
    assert (stage.optimizer.schedule.name, stage.optimizer.schedule.warmup_epochs) == ("cosine", 2)


def test_epochs_replaces_those_of_every_stage_and_single_stages_can_be_set() -> None:
    assert [stage.epochs for stage in compose(["freeze=gradual", "epochs=2"]).freeze.stages] == [2] * 5
    assert compose(["freeze=all", "freeze.stages.0.epochs=7"]).freeze.stages[0].epochs == 7


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("epochs=-1", "Expected epochs to be at least 1. Received: -1"),
        ("freeze.stages.0.epochs=0", r"Expected freeze.stages\[0\].epochs to be at least 1. Received: 0"),
        ("head.dropout=1", "Expected head.dropout to be at least 0 and below 1. Received: 1"),
        ("class_weight=heavy", "Expected class_weight to be one of none, balanced, inverse. Received: heavy"),
        ("sed=1", "Expected a key of the configuration to be one of dataset, backbone, .*Received: sed"),
        ("dataset.rot=x", "Expected a key of dataset to be one of name, source, root, .*Received: rot"),
        ("freeze.stages.0.epoch=1", r"Expected a key of freeze.stages\[0\] to be one of .*epochs.*Received: epoch"),
        ("backbone=vgg61", "Expected backbone to be one of .*vgg16.*Received: vgg61"),
        ("bakbone=vgg16", "one of dataset, backbone, .*Received: bakbone"),
        ("seed=abc", "seed.*abc.*Integer"),
        ("++speed=1", "one of dataset, backbone, .*Received: speed"),
        ("+head.hidden=1", "Expected a key of head to be one of .*units.*Received: hidden"),
        ("freeze.stages=[]", "at least one stage"),
        ("freeze.stages=[{name: a, train: head, epochs: 1, epoch: 2}]", "one of name, train, epochs.*Received: epoch"),
        ("freeze.stages=[{name: a, train: head, epochs: 1, optimizer: {rate: 1}}]", "one of name, learning_rate.*rate"),
        ("freeze.stages=[{name: a, train: head, epochs: 1, optimizer: fast}]", "StageOptimizerConfig.*fast"),
        ("freeze.stages=[{name: a, train: head}]", "epochs"),
        ("=", "="),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_the_valid_ones(override: str, expected: str) -> None:
    with pytest.raises(HeadstartError, match=expected) as caught:
        compose([override])
    assert "\n" not in str(caught.value)


def test_a_misspelt_key_in_a_yaml_file_is_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "freeze").mkdir()
    (tmp_path / "freeze" / "mine.yaml").write_text("name: mine\nstages:\n  - {name: a, train: head, epoch: 3}\n")
    answer = run("--config-dir", str(tmp_path), "freeze=mine")
    assert answer.returncode == 1
    assert "one of name, train, epochs" in answer.stdout
    assert "freeze/mine" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_help_shows_every_group_and_option_without_tensorflow() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    for option in OPTIONS:
        group, _, name = option.partition("=")
        assert group in answer.stdout
        assert f"  {name} " in answer.stdout


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"]])
def test_looking_at_the_configuration_imports_neither_tensorflow_nor_mlflow(flags: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "run.py", *flags], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "headstart.config" in imported
    assert not imported & {"tensorflow", "keras", "mlflow", "sklearn", "matplotlib"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "run.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
