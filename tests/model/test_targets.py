"""What a stage's `train` says is checked before anything is built, and names of layers before any image is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

from headstart.config import Config, StageConfig, compose
from headstart.core.environment import Clock
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import BACKBONES, get_entry
from headstart.model.targets import FEWEST_LAYERS, check_targets, names_a_layer, parse_target
from headstart.run.setup import set_up_run


@pytest.mark.parametrize(
    ("backbone", "train", "says"),
    [
        ("vgg16", "last_blok", "Received: last_blok. The blocks of vgg16 are block1, .*; did you mean last_block?"),
        ("vgg16", "alll", "did you mean all?"),
        ("vgg16", "block5", "did you mean {from: block5}?"),
        ("vgg16", {"last_block": 2}, "did you mean last_blocks?"),
        ("vgg16", {"last_blocks": 6}, "The blocks of vgg16 are block1, block2, block3, block4, block5"),
        ("inceptionv3", {"last_blocks": 99}, "mixed10"),
        ("inceptionv3", {"fraction": 2}, "{fraction: 0.3}"),
        ("inceptionv3", {"fraction": "half"}, "{fraction: 0.3}"),
        ("inceptionv3", {"from": 9}, "{from: BLOCK}"),
        ("inceptionv3", {"from": "mixed9", "last_blocks": 1}, "Expected"),
        ("inceptionv3", {"last_layers": True}, "{last_layers: 5}"),
        ("inceptionv3", {3: 3}, "Received: {3: 3}"),
        ("inceptionv3", ["head"], "Received: ['head']"),
        ("inceptionv3", None, "Received: None"),
        ("inceptionv3", 5, "Received: 5"),
    ],
)
def test_what_is_no_target_is_refused_with_what_was_meant(backbone: str, train: Any, says: str) -> None:
    config = Config()
    config.backbone.name = backbone
    config.freeze.stages = [StageConfig("head", "head", 1), StageConfig("more", train, 1)]
    with pytest.raises(HeadstartError, match=r"Expected freeze\.stages\.1\.train to be one of head, all") as error:
        check_targets(config)
    for part in says.split(".*"):
        assert part in str(error.value)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_blocks_of_every_backbone_are_targets_without_a_network(name: str) -> None:
    entry = get_entry(name)
    assert len(set(entry.blocks.blocks)) == len(entry.blocks.blocks) >= 3
    for block in entry.blocks.blocks:
        assert parse_target({"from": block}, entry).value == block
    assert parse_target({"last_blocks": len(entry.blocks.blocks)}, entry).kind == "last_blocks"


def test_only_layers_need_the_backbone() -> None:
    config = Config()
    config.backbone.name = "vgg16"
    for train, needed in (
        ("last_block", False),
        ({"from": "block4"}, False),
        ({"last_layers": FEWEST_LAYERS}, False),
        ({"from": "block5_conv1"}, True),
        ({"last_layers": FEWEST_LAYERS + 1}, True),
    ):
        config.freeze.stages = [StageConfig("one", train, 1)]
        assert names_a_layer(config) is needed


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("last_blok", "freeze.stages.1.train to be one of .*did you mean last_block"),
        ("{from: block3_convv}", "freeze.stages.1.train to be one of .*did you mean block3_conv"),
        ("{last_layers: 30}", "freeze.stages.1.train to be one of"),
    ],
)
def test_a_run_is_refused_before_its_images_are_read(train: str, says: str, tmp_path: Path) -> None:
    given = [*TINY, "dataset.root=/nowhere", "freeze=last_block", f"freeze.stages.1.train={train}"]
    with pytest.raises(HeadstartError, match=says):  # not that there is no such directory
        set_up_run(compose(given), tmp_path, Clock(0.0))


@pytest.mark.slow
def test_every_cell_of_a_scenario_to_be_measured_is_checked(tmp_path: Path) -> None:
    given = ["scenario=auto", "dataset=folder", "dataset.root=/nowhere", "freeze.stages.0.train={from: head}"]
    with pytest.raises(HeadstartError, match=r"freeze\.stages\.0\.train to be one of"):
        set_up_run(compose(given), tmp_path, Clock(0.0))
