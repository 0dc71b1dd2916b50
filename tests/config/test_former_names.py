"""What people typed, wrote and stored in the names of earlier versions is read, and identifies the same runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from headstart.comparison.naming import NAMED_BY
from headstart.config import (
    CELLS,
    HeadOnly,
    compose,
    former_keys,
    from_yaml,
    to_yaml,
    use_current_names,
    use_former_names,
)
from headstart.config import former_names as former_names_module
from headstart.config.identity import config_hash
from headstart.config.keys import values_that_decide
from headstart.config.option_files import FileConfigSource

# Made by the version before the names changed: config_hash(compose(words)) at commit 4ce7551.
DIGESTS = {
    "": "39ce06fd8d8c5948",
    "optimizer=adamw": "4ea5c5447bd584bb",
    "head=original": "2161b20a43c3b81d",
    "head=original_sigmoid": "80c27389cea7b50f",
    "head.pooling=original": "ea6b326884b3a7f8",
    "head=original backbone=vgg16 seed=3": "ee6ee2c87ded7645",
    "dataset=pictures head=imagenet dataset.root=/x": "6b61f37b06dc9f3a",
    "dataset.source=pictures": "53c39b4860503432",
    "engine=tensorflow": "39ce06fd8d8c5948",
    "optimizer.block_decay=0.5": "fc93e78db013e06e",
    "freeze=last_block freeze.stages.0.optimizer.block_decay=0.9": "ccc6ee99e3efbe0f",
    "freeze=none optimizer=adamw optimizer.block_decay=0.75 seed=2 image_size=96": "6f7e9a031a769959",
    "experiment=cars_vs_flowers": "a28e629ad0a62b7c",
    "experiment=classify": "6b61f37b06dc9f3a",
    "freeze=gradual epochs=3": "ec21dbf6bb1c80b3",
    "freeze.stages.0.train={last_layers:5}": "0760d7b088d7e8de",
    "scenario=small_similar": "e3374419e1600bb6",
    "cv.folds=5 cv.fold=1": "6317966e907c9168",
    "cache.dtype=float16": "0b7cf172496939e0",
}


# Likewise, of configurations that were stored with their command line, when scenario=auto chose among four scenarios.
MEASURED = {
    "scenario=auto": "388d6ae97b526bc7",
    "scenario=auto epochs=2 optimizer=sgd": "e8070e5bf4a90e73",
    "scenario=auto optimizer.layer_decay=0.5": "5b30ad742064bf00",
}


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see the notes of a new process."""
    monkeypatch.setattr(former_names_module, "_noted", set())


def as_digits_were(words: list[str]) -> list[str]:
    """Return words with the size that digits, the default data set, had when the digests were made."""
    others = any(word.startswith(("dataset=", "experiment=")) for word in words)
    return words if others else ["dataset.suggested_image_size=48", *words]


@pytest.mark.parametrize("words", DIGESTS)
def test_the_digest_of_a_configuration_is_that_of_the_version_before_the_names_changed(words: str) -> None:
    former, current = as_digits_were(words.split()), as_digits_were(use_current_names(words.split()))
    assert {config_hash(compose(given)) for given in {tuple(former), tuple(current)}} == {DIGESTS[words]}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("optimizer.block_decay=0.5", "optimizer.layer_decay=0.5"),
        ("++optimizer.block_decay=0.5,0.7", "++optimizer.layer_decay=0.5,0.7"),
        ("~optimizer.block_decay", "~optimizer.layer_decay"),
        ("freeze.stages.0.optimizer.block_decay=choice(1,0.5)", "freeze.stages.0.optimizer.layer_decay=choice(1,0.5)"),
        ("optimizer={name: sgd, block_decay: 0.5}", "optimizer={name: sgd, layer_decay: 0.5}"),
        ("engine=auto,tensorflow", "inference_backend=auto,tensorflow"),
        ("head=linear,original,original_sigmoid", "head=linear,include_top,include_top_sigmoid"),
        ("head=original", "head=include_top"),
        ("head.pooling='original'", "head.pooling='include_top'"),
        ("+dataset=pictures", "+dataset=unlabelled"),
        ("dataset.source=pictures", "dataset.source=unlabelled"),
        ("dataset.name=pictures", "dataset.name=unlabelled"),
    ],
)
def test_a_word_of_the_command_line_is_read_with_one_note(
    typed: str, read: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert use_current_names([typed]) == use_current_names([typed]) == [read]
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == typed.count("original") or len(notes) == 1
    assert all(note.endswith("a later version will not accept the old name") for note in notes)
    assert use_former_names([read]) == [typed]


@pytest.mark.parametrize(
    "typed",
    [
        "dataset.root=/data/pictures",
        "sweep.name=original",
        "dataset.classes=[original,pictures]",
        "hydra.run.dir=/engine",
        "head=linear",
        "--multirun",
        "=",
    ],
)
def test_the_same_words_elsewhere_stay(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert use_current_names([typed]) == use_former_names([typed]) == [typed]
    assert capsys.readouterr().err == ""


def test_a_note_says_what_the_name_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert compose(["optimizer.block_decay=0.5", "head=original"]).optimizer.layer_decay == 0.5
    assert capsys.readouterr().err.splitlines() == [
        "Note: optimizer.block_decay is now optimizer.layer_decay; a later version will not accept the old name",
        "Note: head=original is now head=include_top; a later version will not accept the old name",
    ]


def test_keys_have_their_former_names_where_sweeps_were_named_by_them() -> None:
    assert former_keys(["optimizer.layer_decay", "seed", "head"]) == ["optimizer.block_decay", "seed", "head"]


def own_files(place: Path) -> list[str]:
    """Write options as somebody wrote them for an earlier version, and return where they are."""
    files = {
        "freeze/mine": "name: mine\nstages:\n  - {name: a, train: head, epochs: 1, optimizer: {block_decay: 0.5}}\n",
        "head/mine": "name: mine\npooling: original\n",
        "experiment/mine": "# @package _global_\ndefaults:\n  - override /head: original_sigmoid\n"
        "  - override /freeze: mine\nengine: tensorflow\noptimizer:\n  block_decay: 0.7\n",
    }
    for name, text in files.items():
        file = place / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [f"file://{place}"]


def test_user_files_with_former_names_are_read_with_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = compose(["experiment=mine"], own_files(tmp_path))
    assert (config.head.name, config.head.pooling) == ("include_top_sigmoid", "include_top")
    assert (config.inference_backend, config.optimizer.layer_decay) == ("tensorflow", 0.7)
    assert config.freeze.stages[0].optimizer.layer_decay == 0.5
    notes = capsys.readouterr().err
    for note in ("engine is now inference_backend", "head=original_sigmoid is now", "0.optimizer.block_decay is now"):
        assert notes.count(note) == 1
    assert compose(["head=mine"], own_files(tmp_path)).head.pooling == "include_top"
    changed = compose(["experiment=mine", "optimizer.layer_decay=0.9"], own_files(tmp_path))
    assert changed.optimizer.layer_decay == 0.9  # what is typed wins over the file, whatever the names


def test_former_names_in_the_sweeper_of_a_user_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    params = "      optimizer.block_decay: 0.5,0.7\n      head: linear,original\n"
    text = f"# @package _global_\nsweep: {{name: mine}}\nhydra:\n  sweeper:\n    params:\n{params}"
    (tmp_path / "sweep" / "mine.yaml").write_text(text, encoding="utf-8")
    loaded = FileConfigSource("mine", f"file://{tmp_path}").load_config("sweep/mine").config
    assert loaded.hydra.sweeper.params == {"optimizer.layer_decay": "0.5,0.7", "head": "linear,include_top"}
    assert loaded.sweep.name == "mine"


def as_stored_before(words: list[str], **scenario: object) -> str:
    """Return the YAML of a configuration as the version before the names changed stored it."""
    text = to_yaml(compose(words))
    for current, former in (
        ("layer_decay:", "block_decay:"),
        ("inference_backend:", "engine:"),
        ("include_top", "original"),
        ("unlabelled", "pictures"),
    ):
        text = text.replace(current, former)
    stored = yaml.safe_load(text)
    for name in ("seconds", "strategies", "cells"):
        del stored["scenario"][name]
    stored["scenario"] |= {"overrides": [], "search_path": [], **scenario}
    return yaml.safe_dump(stored, sort_keys=False)


@pytest.mark.parametrize(
    "words",
    [
        ["head=include_top", "backbone=vgg16", "optimizer.layer_decay=0.5"],
        ["dataset=unlabelled", "head=imagenet", "inference_backend=tensorflow"],
    ],
)
def test_a_stored_configuration_is_read_without_a_note_and_differs_in_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, now = from_yaml(as_stored_before(words)), compose(words)
    assert before == now
    assert config_hash(before) == config_hash(now)
    assert values_that_decide(before, NAMED_BY) == values_that_decide(now, NAMED_BY)  # which comparisons show
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words", [pytest.param(words, marks=[pytest.mark.slow] if "epochs" in words else []) for words in MEASURED]
)
def test_a_stored_run_with_scenario_auto_has_the_cells_of_its_command_line(words: str) -> None:
    before = from_yaml(as_stored_before(as_digits_were(words.split()), overrides=words.split()))
    assert config_hash(before) == MEASURED[words] != config_hash(compose(words.split()))
    assert list(before.scenario.cells) == list(CELLS)
    assert config_hash(from_yaml(to_yaml(before))) == MEASURED[words]  # as versions stored it that kept the cells


def test_a_stored_run_with_scenario_auto_is_read_although_its_options_are_gone() -> None:
    config = from_yaml(as_stored_before(["scenario=auto"], overrides=["scenario=auto", "freeze=gone"]))
    assert config.scenario.cells == {}
    assert isinstance(config.freeze.stages[0].train, HeadOnly)
    assert dataclasses.is_dataclass(config)
