"""What a stage's `train` says is checked before anything is built, and names of layers before any image is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import TINY

from headstart.config import (
    Biases,
    Blocks,
    Config,
    FirstBlocks,
    From,
    HeadOnly,
    LastBlock,
    LastBlocks,
    LastLayers,
    Norms,
    StageConfig,
    TrainTarget,
    compose,
    from_yaml,
    to_yaml,
)
from headstart.config.train_targets import parse_target, write_target
from headstart.core.environment import Clock
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import BACKBONES, get_entry
from headstart.model.targets import FEWEST_LAYERS, check_target, check_targets, needs_layers
from headstart.run.setup import set_up_run


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("last_blok", "Received: last_blok; did you mean last_block?"),
        ("alll", "did you mean all?"),
        ("block5", "did you mean {from: block5}?"),
        ({"last_block": 2}, "did you mean last_blocks?"),
        ({"block": ["block3"]}, "did you mean blocks?"),
        ({"blocks": "block3"}, "{blocks: [BLOCK]}"),
        ({"fraction": 2}, "{fraction: 0.3}"),
        ({"fraction": "half"}, "{fraction: 0.3}"),
        ({"from": 9}, "{from: BLOCK}"),
        ({"from": "mixed9", "last_blocks": 1}, "Expected"),
        ({"last_layers": True}, "{last_layers: 5}"),
        ({3: 3}, "Received: {3: 3}"),
        (["head"], "Received: ['head']"),
        (5, "Received: 5"),
    ],
)
def test_an_unknown_target_is_refused_with_a_suggestion(train: Any, says: str) -> None:
    stages = [{"name": "head", "train": "head", "epochs": 1}, {"name": "more", "train": train, "epochs": 1}]
    stored = yaml.safe_load(to_yaml(compose()))
    stored["freeze"]["stages"] = stages
    with pytest.raises(HeadstartError, match=r"Expected freeze\.stages\.1\.train to be one of head, all") as error:
        from_yaml(yaml.safe_dump(stored))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("backbone", "train", "says"),
    [
        ("vgg16", LastBlocks(6), "Received: {'last_blocks': 6}; the blocks of vgg16 are block1, block2, block3"),
        ("inceptionv3", LastBlocks(99), "mixed10"),
        ("vgg16", FirstBlocks(6), "Received: {'first_blocks': 6}; the blocks of vgg16 are block1, block2, block3"),
        ("vgg16", Blocks(("block2", "blok3")), "block4, block5; did you mean block3?"),
    ],
)
def test_more_blocks_than_there_are_is_refused_with_their_names(backbone: str, train: TrainTarget, says: str) -> None:
    config = Config()
    config.backbone.name = backbone
    config.freeze.stages = [StageConfig("head", HeadOnly(), 1), StageConfig("more", train, 1)]
    with pytest.raises(HeadstartError, match=r"Expected freeze\.stages\.1\.train to be one of head, all") as error:
        check_targets(config)
    assert says in str(error.value)


WINDOWS: list[Any] = [{"blocks": ["a", "b"]}, {"first_blocks": 2}, {"batch_norm": True}, {"biases": True}]


@pytest.mark.parametrize(
    "written", ["head", "all", "last_block", {"last_blocks": 2}, {"from": "a"}, {"fraction": 0.3}, *WINDOWS]
)
def test_a_target_is_written_as_it_was_read(written: Any) -> None:
    assert write_target(parse_target(written)) == written


def test_equal_sets_of_blocks_are_one_target() -> None:
    first, second = ({"blocks": names} for names in (["b", "a"], ["a", "b", "a"]))
    assert parse_target(first) == parse_target(second)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_blocks_of_every_backbone_are_targets_without_a_network(name: str) -> None:
    entry = get_entry(name)
    blocks = entry.blocks.blocks
    assert len(set(blocks)) == len(blocks) >= 3
    for block in blocks:
        check_target(From(block), entry)
    check_target(LastBlocks(len(blocks)), entry)
    check_target(Blocks(blocks), entry)
    with pytest.raises(HeadstartError, match="the blocks of"):
        check_target(LastBlocks(len(blocks) + 1), entry)


def test_only_layers_need_the_backbone() -> None:
    config = Config()
    config.backbone.name = "vgg16"
    for train, needed in (
        (LastBlock(), False),
        (From("block4"), False),
        (LastLayers(FEWEST_LAYERS), False),
        (From("block5_conv1"), True),
        (LastLayers(FEWEST_LAYERS + 1), True),
        (Blocks(("block1", "block3")), False),
        (Norms(), True),
        (Biases(), True),
    ):
        config.freeze.stages = [StageConfig("one", train, 1)]
        assert needs_layers(config) is needed


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("last_blok", "freeze.stages.1.train to be one of .*did you mean last_block"),
        ("{from: block3_convv}", "freeze.stages.1.train to be one of .*did you mean block3_conv"),
        ("{last_layers: 30}", "freeze.stages.1.train to be one of"),
        ("{blocks: [block1, blok2]}", "freeze.stages.1.train to be one of .*did you mean block2"),
        ("{batch_norm: true}", "freeze.stages.1.train to be one of .*small_cnn has no batch norm"),
    ],
)
def test_a_run_is_refused_before_its_images_are_read(train: str, says: str, tmp_path: Path) -> None:
    given = [*TINY, "dataset.root=/nowhere", "freeze=last_block", f"freeze.stages.1.train={train}"]
    with pytest.raises(HeadstartError, match=says):  # not that there is no such directory
        set_up_run(compose(given), tmp_path, Clock(0.0))


@pytest.mark.slow
def test_every_configuration_that_scenario_auto_may_choose_is_checked(tmp_path: Path) -> None:
    given = ["scenario=auto", "dataset=folder", "dataset.root=/nowhere", "freeze.stages.0.train={from: head}"]
    with pytest.raises(HeadstartError, match=r"freeze\.stages\.0\.train to be one of"):
        set_up_run(compose(given), tmp_path, Clock(0.0))
