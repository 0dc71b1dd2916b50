"""What the head reads of an image, as a second output of the whole classifier and of its part after a split point."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tiny import pictures, tiny_network

from headstart.config.train_targets import parse_target
from headstart.features.boundary import frozen_boundary
from headstart.inference.backend import forward
from headstart.model.flips import with_flips
from headstart.model.head_input import suffix_with_head_input, with_head_input


@pytest.mark.parametrize(
    "head",
    [{}, {"units": 8, "batch_norm": True}, {"pooling": "flatten"}, {"pooling": "multi_depth"}, {"output": "sigmoid"}],
    ids=["average", "hidden", "flatten", "multi_depth", "sigmoid"],
)
def test_every_head_and_every_split_point_give_the_same_outputs_and_features(head: dict[str, Any]) -> None:
    network = tiny_network(classes=2, **head)
    images, _ = pictures(4)
    expected = network.classifier(images, training=False).numpy()
    read = network.features(images / 255, training=False).numpy()
    read = read.mean(axis=(1, 2)) if read.ndim == 4 else read
    outputs, features = with_head_input(network.classifier)(images, training=False)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    np.testing.assert_allclose(features, read, rtol=1e-4, atol=1e-5)
    for target in ("head", "last_block"):
        boundary = frozen_boundary(network, parse_target(target))
        assert boundary is not None
        suffix = suffix_with_head_input(boundary.suffix, network.head)
        outputs, features = suffix(boundary.prefix(images, training=False), training=False)
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
        np.testing.assert_allclose(features, read, rtol=1e-4, atol=1e-5)


def test_with_flips_the_features_are_those_of_the_image_as_it_is() -> None:
    network = tiny_network()
    images, _ = pictures(4)
    plain, flipped = with_head_input(network.classifier), with_flips(network.classifier)
    outputs, features = with_head_input(flipped)(images, training=False)
    np.testing.assert_allclose(outputs, flipped(images, training=False), atol=1e-6)
    np.testing.assert_allclose(features, plain(images, training=False)[1], atol=1e-6)


def test_one_pass_gives_both_outputs() -> None:
    network = tiny_network()
    images, _ = pictures(5)
    ready = forward(with_head_input(network.classifier), "tensorflow")
    outputs, features = ready.outputs(images)
    np.testing.assert_allclose(outputs, network.classifier(images, training=False), atol=1e-6)
    np.testing.assert_array_equal(ready(images), outputs)
    assert features.shape == (5, network.features.output.shape[-1])


def test_a_model_of_other_layers_stays_as_it_is() -> None:
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(pixels)))
    assert with_head_input(model) is model
