"""What a stage's `train` opens, and the proof that everything else stands still."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import pytest
from tiny import tiny_network

from headstart.config import (
    BackboneConfig,
    Biases,
    Blocks,
    Everything,
    FirstBlocks,
    From,
    HeadConfig,
    HeadOnly,
    LastBlock,
    LastBlocks,
    LastLayers,
    Norms,
    TrainTarget,
)
from headstart.config.train_targets import parse_target, write_target
from headstart.core.errors import HeadstartError
from headstart.model.freeze import check_unchanged, frozen_fingerprints, layers_to_train, open_for_training
from headstart.model.network import Network, build_network

BLOCK5 = 7_079_424
BLOCK4_CONV3 = 2_359_808
VGG16 = 14_714_688


@functools.cache
def network(backbone: str) -> Network:
    return tiny_network(backbone)


def parameters(network: Network) -> int:
    return sum(int(np.prod(variable.shape)) for variable in network.backbone.trainable_variables)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("head", 0),
        ("all", VGG16),
        ("last_block", BLOCK5),
        ({"last_blocks": 1}, BLOCK5),
        ({"last_blocks": 2}, BLOCK5 + 5_899_776),
        ({"last_blocks": 5}, VGG16),
        ({"last_layers": 1}, 0),  # a pooling
        ({"last_layers": 4}, BLOCK5),
        ({"last_layers": 5}, BLOCK5),  # and the pooling below it
        ({"last_layers": 6}, BLOCK5 + BLOCK4_CONV3),
        ({"from": "block5"}, BLOCK5),
        ({"from": "block1"}, VGG16),
        ({"from": "block5_conv1"}, BLOCK5),
        ({"from": "block4_pool"}, BLOCK5),
        ({"from": "block4_conv3"}, BLOCK5 + BLOCK4_CONV3),
        ({"fraction": 0.3}, BLOCK5 + BLOCK4_CONV3),  # 4 of 13 layers
        ({"fraction": 1}, VGG16),
        ({"fraction": 0.001}, 2_359_808),  # one layer at least
        ({"blocks": ["block5"]}, BLOCK5),
        ({"blocks": ["block5", "block1"]}, BLOCK5 + 38_720),
        ({"first_blocks": 1}, 38_720),
        ({"first_blocks": 5}, VGG16),
    ],
)
def test_the_grammar_on_vgg16(train: Any, expected: int) -> None:
    vgg16 = network("vgg16")
    chosen = open_for_training(vgg16, parse_target(train))
    assert parameters(vgg16) == expected
    assert sum(layer.count_params() for layer in chosen) == expected
    assert set(map(id, vgg16.head.trainable_variables)) <= set(map(id, vgg16.classifier.trainable_variables))
    assert vgg16.head.trainable_variables


@pytest.mark.slow
def test_inceptionv3_from_mixed9() -> None:
    inception = build_network(BackboneConfig("inceptionv3", "none"), HeadConfig("head"), 3, 75, seed=0)
    chosen = open_for_training(inception, From("mixed9"))
    assert parameters(inception) == 11_114_880
    assert chosen == layers_to_train(inception, LastBlocks(2))


@pytest.mark.parametrize(
    "train",
    [
        "heads",
        "last_blocks",
        "from",
        None,
        3,
        True,
        [],
        ["head"],
        {},
        {"head": None},
        {"all": True},
        {"last_block": 2},
        {"last_blocks": 0},
        {"last_blocks": -1},
        {"last_blocks": True},
        {"last_blocks": 1.0},
        {"last_blocks": "1"},
        {"last_layers": 0},
        {"fraction": 0},
        {"fraction": -0.5},
        {"fraction": 1.5},
        {"fraction": True},
        {"fraction": float("nan")},
        {"fraction": "half"},
        {"from": None},
        {"from": ["block3"]},
        {"from": "block3", "last_blocks": 1},
        {"blocks": "block3"},
        {"blocks": []},
        {"blocks": [3]},
        {"first_blocks": 0},
        {"batch_norm": False},
        {"biases": 1},
    ],
)
def test_anything_else_is_refused_with_the_grammar(train: Any) -> None:
    with pytest.raises(HeadstartError, match=r"Expected train to be one of head, all.*\{fraction: 0\.3\}") as error:
        parse_target(train)
    assert f"Received: {train}" in str(error.value)


@pytest.mark.parametrize("train", [LastBlocks(4), LastLayers(8), From("block9"), FirstBlocks(4), Blocks(("block4",))])
def test_what_a_backbone_does_not_have_is_refused_with_its_blocks(train: TrainTarget) -> None:
    with pytest.raises(HeadstartError, match=r"Expected train to be one of head, all.*block1, block2, block3") as error:
        layers_to_train(network("small_cnn"), train)
    assert f"Received: {write_target(train)}; " in str(error.value)


def test_each_stage_starts_from_a_clean_slate() -> None:
    small = network("small_cnn")
    open_for_training(small, Everything())
    assert len(small.backbone.trainable_variables) == 6
    open_for_training(small, LastBlock())
    assert [variable.path for variable in small.backbone.trainable_variables] == [
        "block3_conv/kernel",
        "block3_conv/bias",
    ]
    open_for_training(small, HeadOnly())
    assert not small.backbone.trainable_variables
    open_for_training(small, LastBlocks(2))
    assert len(small.backbone.trainable_variables) == 4


def test_a_backbone_without_norms_has_none_to_train() -> None:
    with pytest.raises(
        HeadstartError, match=r"Received: {'batch_norm': True}. small_cnn has no batch norm and no layer"
    ):
        layers_to_train(network("small_cnn"), Norms())


def test_a_backbone_without_biases_has_none_to_train() -> None:
    small = tiny_network("small_cnn")
    inputs = keras.Input((32, 32, 3))
    small.backbone = keras.Model(inputs, keras.layers.Conv2D(2, 3, use_bias=False)(inputs))
    with pytest.raises(HeadstartError, match=r"Received: {'biases': True}. small_cnn has no bias"):
        layers_to_train(small, Biases())


def test_a_frozen_variable_that_changes_is_detected() -> None:
    small = network("small_cnn")
    open_for_training(small, LastBlock())
    before = frozen_fingerprints(small, "frozen")
    assert len(before) == 4  # kernels and biases of two blocks

    small.backbone.get_layer("block3_conv").bias.assign_add(np.ones(64))
    small.head.get_layer("output").bias.assign_add(np.ones(3))
    check_unchanged(before, frozen_fingerprints(small, "frozen"), "tried")

    small.backbone.get_layer("block1_conv").bias.assign_add(np.full(32, 1e-7))
    with pytest.raises(HeadstartError, match=r"after stage tried. Received: 1 changed, first block1_conv/bias"):
        check_unchanged(before, frozen_fingerprints(small, "frozen"), "tried")


def test_statistics_count_as_frozen_unless_batch_norm_trains() -> None:
    mobile = network("mobilenetv2")
    open_for_training(mobile, LastBlock())
    statistics = {
        position: variable
        for position, variable in enumerate(mobile.classifier.weights)
        if variable.path.endswith(("moving_mean", "moving_variance"))
    }
    opened = {id(weight) for layer in layers_to_train(mobile, LastBlock()) for weight in layer.weights}

    def held(batch_norm: str) -> set[int]:
        return {int(name.partition(":")[0]) for name in frozen_fingerprints(mobile, batch_norm)} & set(statistics)

    assert held("frozen") == set(statistics)
    assert held("train") == {position for position, variable in statistics.items() if id(variable) not in opened}
    assert held("train") < held("frozen")
