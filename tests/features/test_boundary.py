"""The frozen and the training part of a classifier compute its numbers and share its variables."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tiny import SIZE, pictures, tiny_network

from headstart.config import BackboneConfig, Fraction, From, HeadConfig, HeadOnly, LastBlock
from headstart.config.train_targets import parse_target
from headstart.features.boundary import frozen_boundary
from headstart.model.freeze import layers_to_train, open_for_training
from headstart.model.network import Network, build_network

HEADS: dict[str, dict[str, Any]] = {
    "pooled": {"dropout": 0.3},
    "hidden": {"units": 8, "batch_norm": True, "dropout": 0.3},
    "flatten": {"pooling": "flatten", "units": 8},
    "sigmoid": {"output": "sigmoid"},
}


def spread_statistics(network: Network) -> None:
    """Give batch norms statistics that are not those of an untrained network, so that a wrong mode shows."""
    generator = np.random.default_rng(0)
    for layer in [*network.backbone.layers, *network.head.layers]:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.moving_mean, layer.moving_variance):
                variable.assign(variable + generator.uniform(0, 0.3, variable.shape))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("backbone", "train"),
    [
        ("small_cnn", "head"),
        ("small_cnn", "last_block"),
        ("small_cnn", {"from": "block2"}),
        ("small_cnn", {"fraction": 0.5}),
        ("small_cnn", {"blocks": ["block2"]}),
        pytest.param("efficientnet_lite0", "head", marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", "last_block", marks=pytest.mark.slow),
        pytest.param("efficientnet_lite0", {"fraction": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_both_parts_compose_to_the_classifier(backbone: str, train: Any, head: str) -> None:
    classes = 2 if head == "sigmoid" else 3
    network = tiny_network(backbone, classes, **HEADS[head])
    spread_statistics(network)
    boundary = frozen_boundary(network, parse_target(train))
    assert boundary is not None
    images, _ = pictures(4)
    whole = network.classifier(images, training=False)
    activations = boundary.prefix(images, training=False)
    np.testing.assert_allclose(boundary.suffix(activations, training=False), whole, atol=1e-5)


@pytest.mark.parametrize(
    "train",
    ["last_block", {"fraction": 0.5}, *(pytest.param(t, marks=pytest.mark.slow) for t in ("head", {"last_layers": 5}))],
)
def test_trained_layers_are_in_the_suffix_and_shared(train: Any) -> None:
    network = tiny_network("efficientnet_lite0", units=8)
    open_for_training(network, parse_target(train))
    boundary = frozen_boundary(network, parse_target(train))
    assert boundary is not None
    trainable = {id(variable) for variable in network.classifier.trainable_variables}
    assert {id(variable) for variable in boundary.suffix.trainable_variables} == trainable
    assert not trainable & {id(variable) for variable in boundary.prefix.weights}
    both = [*boundary.prefix.weights, *boundary.suffix.weights]
    assert {id(variable) for variable in both} == {id(variable) for variable in network.classifier.weights}


def test_the_split_point_is_the_deepest_below_the_trained_layers() -> None:
    network = tiny_network("small_cnn")
    first = layers_to_train(network, LastBlock())[0]
    boundary = frozen_boundary(network, LastBlock())
    assert boundary is not None
    names = [layer.name for layer in network.backbone.layers]
    assert names.index(boundary.split_point) == names.index(first.name) - 1


@pytest.mark.parametrize(
    ("head", "split_point", "shape"),
    [("pooled", "average", (64,)), ("hidden", "average", (64,)), ("flatten", "flatten", None)],
)
def test_the_head_begins_where_it_learns(head: str, split_point: str, shape: tuple[int, ...] | None) -> None:
    network = tiny_network("small_cnn", **HEADS[head])
    boundary = frozen_boundary(network, HeadOnly())
    assert boundary is not None
    assert boundary.split_point == split_point
    flat = (int(np.prod(network.backbone.output.shape[1:])),)
    assert boundary.prefix.output.shape[1:] == (shape or flat)


def test_the_opened_backbone_stays_in_inference_mode() -> None:
    network = tiny_network("efficientnet_lite0")
    spread_statistics(network)
    boundary = frozen_boundary(network, LastBlock())
    assert boundary is not None
    activations = boundary.prefix(pictures(4)[0])
    np.testing.assert_allclose(
        boundary.suffix(activations, training=True), boundary.suffix(activations, training=False), atol=1e-6
    )


@pytest.mark.parametrize("train", ["all", {"fraction": 1.0}, {"last_blocks": 4}, {"first_blocks": 1}, {"biases": True}])
def test_no_boundary_where_nothing_or_next_to_nothing_is_frozen(train: Any) -> None:
    network = tiny_network("small_cnn")
    if isinstance(train, dict) and "last_blocks" in train:
        train = {"last_blocks": len(network.blocks)}
    assert frozen_boundary(network, parse_target(train)) is None


def test_no_boundary_where_the_only_split_point_is_at_the_very_beginning() -> None:
    network = tiny_network("efficientnet_lite0")
    second = [layer for layer in network.backbone.layers if layer.weights][2]
    assert frozen_boundary(network, From(second.name)) is None


@pytest.mark.slow
def test_nasnet_has_no_split_point_but_at_its_ends() -> None:
    keras.utils.set_random_seed(0)
    backbone, head = BackboneConfig("nasnetmobile", "none"), HeadConfig("head")
    network = build_network(backbone, head, 3, SIZE, seed=0)
    assert frozen_boundary(network, LastBlock()) is None
    assert frozen_boundary(network, Fraction(0.3)) is None
    boundary = frozen_boundary(network, HeadOnly())
    assert boundary is not None
    images, _ = pictures(2)
    whole = network.classifier(images, training=False)
    np.testing.assert_allclose(boundary.suffix(boundary.prefix(images)), whole, atol=1e-5)
