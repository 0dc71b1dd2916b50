from __future__ import annotations

import functools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import jobs_of, sweep_configuration
from forked import ForkServer

from headstart.cli.options import comments
from headstart.config import BackboneConfig, OptimizerConfig, compose, expect_quoted_text, from_yaml, to_yaml
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory

OPTIONS = sorted(f"{file.parent.name}={file.stem}" for file in conf_directory().glob("*/*.yaml"))
ROOT = Path(__file__).parents[2]


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


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_the_command_in_an_option_composes(option: str) -> None:
    group, _, name = option.partition("=")
    command = comments(conf_directory() / group / f"{name}.yaml")[1]
    overrides = shlex.split(command.removeprefix("python run.py "))
    assert any(override.startswith(f"{group}={name}") for override in overrides)
    for job in jobs_of(overrides):
        compose(job)


@pytest.mark.parametrize("jobs_to_compose", ["first and last", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", sorted((conf_directory() / "sweep").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_job_of_a_shipped_sweep_composes(file: Path, jobs_to_compose: str) -> None:
    parameters = sweep_configuration(f"sweep={file.stem}").hydra.sweeper.params
    jobs = jobs_of([f"{key}={value}" for key, value in parameters.items()])
    assert len(jobs) > 4
    for job in jobs if jobs_to_compose == "all" else (jobs[0], jobs[-1]):
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
        ("sed=1", "unknown key 'sed'; did you mean seed=1"),
        ("dataset.rot=x", "unknown key 'dataset.rot'; did you mean dataset.root=x"),
        ("freeze.stages.0.epoch=1", "unknown key 'freeze.stages.0.epoch'; did you mean .*stages.0.epochs=1"),
        ("backbone=vgg61", "unknown backbone 'vgg61'; did you mean backbone=vgg16"),
        ("bakbone=vgg16", "unknown key 'bakbone'; did you mean backbone"),
        ("seed=abc", "Expected seed to be a whole number of at least 0. Received: abc; .*--help seed"),
        ("++speed=1", "unknown key 'speed'"),
        ("+head.hidden=1", "unknown key 'head.hidden'; did you mean head.units=1"),
        ("freeze.stages=[]", "at least one stage"),
        ("freeze.stages=[{name: a, train: head, epochs: 1, epoch: 2}]", "unknown key 'epoch'; did you mean epochs"),
        ("freeze.stages=[{name: a, train: head, epochs: 1, optimizer: {rate: 1}}]", "unknown key .*rate'"),
        (
            "freeze.stages=[{name: a, train: head, epochs: 1, optimizer: fast}]",
            "Expected freeze.stages to have its own",
        ),
        ("freeze.stages=[{name: a, train: head}]", "epochs"),
        ("=", "="),
        ("dataset.classes=[true,false]", r"in dataset.classes to be text. Received: True .*classes=..yes.,.no..'$"),
        ("dataset.classes=[0,1]", r"in dataset.classes to be text. Received: 0 .*: write ..0.,.1.., "),
        ("dataset.label_names=[1.10,2]", r"names in dataset.label_names to be text. Received: 1.1 \(float\)"),
        ("dataset.label_names=[null,a]", r"to be text. Received: None .*'dataset.label_names=..null.,.a..'$"),
        ("dataset.classes=[[a],b]", r"names in dataset.classes to be text. Received: \['a'\]"),
        ("dataset.classes=[a,' ']", "names in dataset.classes not to be blank. Received: ' '"),
        ("dataset.columns.label=1", "names in dataset.columns.label to be text. Received: 1 .*columns.label=.1.'$"),
        ("dataset.columns.path=false", "names in dataset.columns.path to be text. Received: False"),
        ("dataset.columns={file: path}", "unknown key 'dataset.columns.file'; .*--help dataset lists its keys"),
        ("sweep.name=1.10", r"sweep.name to be text. Received: 1.10, .* as 1.1; .*'sweep.name=.1.10.'$"),
        ("tracking.experiment=1_000", "tracking.experiment to be text. Received: 1_000, which Hydra reads as 1000"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_the_valid_ones(override: str, expected: str) -> None:
    with pytest.raises(HeadstartError, match=expected) as caught:
        compose([override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("dataset.classes=[no,yes]", ["no", "yes"]),  # Hydra's own grammar has no such words
        ("dataset.classes=[001,002]", ["001", "002"]),
        ('dataset.classes=["1.10","null"]', ["1.10", "null"]),
        ('sweep.name="1.10"', "1.10"),
        ("sweep.name=3", "3"),
        ("dataset.columns.split=false", False),
        ("dataset.columns={path: scan}", "scan"),
    ],
)
def test_names_are_taken_as_they_were_typed(override: str, value: object) -> None:
    config = compose([override])
    groups = {"classes": config.dataset.classes, "name": config.sweep.name, "split": config.dataset.columns.split}
    key = override.partition("=")[0].rpartition(".")[2]
    assert groups.get(key, config.dataset.columns.path) == value
    assert from_yaml(to_yaml(config)) == config


@pytest.mark.parametrize("override", ["sweep.name=v1,1.10", "+dataset.root=1_000", "tracking.experiment=true,x"])
def test_texts_that_hydra_reads_as_numbers_are_refused_in_sweeps_too(override: str) -> None:
    with pytest.raises(HeadstartError, match=r"to be text\. Received: (1\.10|1_000|true), which Hydra reads as "):
        expect_quoted_text([override])


@pytest.mark.parametrize("word", ["seed=1_0", "sweep.name=7", 'sweep.name="1.10"', "-m", "--cfg=1e3", "a.b=1."])
def test_other_words_of_the_command_line_are_left_to_hydra(word: str) -> None:
    expect_quoted_text([word])


@pytest.mark.parametrize(
    ("names", "received"),
    [
        ("[no, yes]", "False .*: write ..no.,.yes.., "),
        ("[on, off]", "True "),
        ("[001, 002]", "1 "),
        ("[010, 020]", "8 "),
        ("[1.10, 1.20]", "1.1 "),
        ("[1_000, 1e3]", "1000 "),
        ("[12:30:00, a]", "45000 "),
        ("[~, a]", "None "),
        ("[[a], b]", r"\['a'\] "),
    ],
)
def test_names_in_a_stored_configuration_have_to_be_text(names: str, received: str) -> None:
    with pytest.raises(HeadstartError, match=rf"Expected names in dataset\.classes to be text\. Received: {received}"):
        from_yaml(plain_yaml().replace("classes: null", f"classes: {names}"))


@functools.cache
def plain_yaml() -> str:
    return to_yaml(compose([]))


@pytest.mark.parametrize("key", ["classes", "label_names"])
def test_names_in_an_option_have_to_be_text(tmp_path: Path, key: str) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text(f"name: mine\nsource: flat\n{key}: [no, yes]\n")
    with pytest.raises(HeadstartError, match=rf"Expected names in dataset\.{key} to be text\. Received: False "):
        compose([f"hydra.searchpath=[file://{tmp_path}]", "dataset=mine"])


def test_a_stored_configuration_keeps_names_that_yaml_would_read_as_something_else() -> None:
    names = ["no", "Yes", "001", "1.10", "1e3", "null", "~", "0x1A", "1_000", "12:30:00", "2024-01-01", "=", "<<", " a"]
    config = from_yaml(plain_yaml())
    config.dataset.classes = names
    assert from_yaml(to_yaml(config)).dataset.classes == names


def test_a_misspelt_key_in_a_yaml_file_is_refused_with_the_file(tmp_path: Path, fork_server: ForkServer) -> None:
    (tmp_path / "freeze").mkdir()
    (tmp_path / "freeze" / "mine.yaml").write_text("name: mine\nstages:\n  - {name: a, train: head, epoch: 3}\n")
    answer = fork_server.run(["run.py", "--config-dir", str(tmp_path), "freeze=mine"], cwd=ROOT)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr == "error: unknown key 'epoch' in 'freeze/mine'\ntip: did you mean epochs?\n"


def test_backbones_of_the_registry_are_options(tmp_path: Path) -> None:
    assert compose(["backbone=vgg16"]).backbone == BackboneConfig("vgg16", "imagenet")
    assert compose(["backbone=efficientnet_lite1"]).backbone.weights == "packaged"
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults:\n  - override /backbone: resnet50\nbackbone: {weights: none}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    assert compose(["experiment=mine"], [f"file://{tmp_path}"]).backbone == BackboneConfig("resnet50", "none")


def test_a_sweep_over_all_options_of_a_group_finds_those_of_the_registry(fork_server: ForkServer) -> None:
    words = ["-m", "plan=true", "backbone=glob(vgg*)", "dataset.fraction=0.1", "hydra.sweep.dir=/nowhere"]
    answer = fork_server.run(["run.py", *words], cwd=ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "backbone=vgg16" in answer.stdout
    assert "backbone=vgg19" in answer.stdout


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"]])
def test_looking_at_the_configuration_imports_neither_tensorflow_nor_mlflow(flags: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "run.py", *flags], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert "headstart.config" in imported
    assert not imported & {"tensorflow", "keras", "mlflow", "sklearn", "matplotlib"}
