"""The classifier as a whole, and the model that a stage fits in its place."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from tiny import SIZE, pictures, tiny_network, values_of

from headstart.config import BackboneConfig, Everything, HeadConfig, LastBlock
from headstart.core.errors import HeadstartError
from headstart.model.freeze import open_for_training
from headstart.model.network import Network, build_network
from headstart.model.preprocessing import preprocess


@functools.cache
def lite() -> Network:
    return tiny_network("efficientnet_lite0")


@pytest.mark.slow
def test_the_classifier_is_preprocessing_then_backbone_then_head() -> None:
    network, (images, _) = lite(), pictures(4)
    assert network.classifier.input.shape == (None, SIZE, SIZE, 3)
    features = network.backbone(preprocess(network.entry.preprocessing, images), training=False)
    expected = network.head(features, training=False)
    np.testing.assert_allclose(network.classifier(images, training=False), expected, rtol=1e-5)


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_what_a_stage_fits_shares_its_variables_with_the_classifier(batch_norm: str) -> None:
    network, (images, _) = lite(), pictures(4)
    model = network.training_model(batch_norm)
    assert {id(variable) for variable in model.weights} == {id(variable) for variable in network.classifier.weights}
    np.testing.assert_allclose(
        model(images, training=False), network.classifier(images, training=False), rtol=1e-5, atol=1e-6
    )


def test_frozen_batch_norm_stays_in_inference_mode_while_training() -> None:
    network, (images, _) = lite(), pictures(4)
    open_for_training(network, Everything())
    before = values_of(network.backbone)
    inference = network.classifier(images, training=False)

    held = network.training_model("frozen")(images, training=True)
    np.testing.assert_allclose(held, inference, rtol=1e-5, atol=1e-6)
    for path, value in values_of(network.backbone).items():
        np.testing.assert_array_equal(value, before[path], path)


def test_batch_norm_that_trains_changes_the_statistics_of_trained_layers_only() -> None:
    network, (images, _) = tiny_network("efficientnet_lite0"), pictures(4)
    opened = {weight.path for layer in open_for_training(network, LastBlock()) for weight in layer.weights}
    before = values_of(network.backbone)
    network.training_model("train")(images, training=True)
    moved = {path for path, value in values_of(network.backbone).items() if not np.array_equal(value, before[path])}
    assert moved == {path for path in opened if "moving" in path}
    assert moved


def test_the_seed_of_the_head_and_no_other_decides_its_weights() -> None:
    first = tiny_network().head.get_weights()
    keras.utils.set_random_seed(5)
    again = build_network(BackboneConfig("small_cnn", "none"), HeadConfig("head"), 3, SIZE, seed=0).head.get_weights()
    other = build_network(BackboneConfig("small_cnn", "none"), HeadConfig("head"), 3, SIZE, seed=1).head.get_weights()
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.allclose(first[0], other[0])


def test_weights_are_not_looked_for_where_none_are_wanted() -> None:
    config = BackboneConfig("small_cnn", "/nowhere/weights.h5")
    build_network(config, HeadConfig("head"), 3, SIZE, seed=0, with_weights=False)
    with pytest.raises(HeadstartError, match=r"/nowhere/weights\.h5"):
        build_network(config, HeadConfig("head"), 3, SIZE, seed=0)


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(HeadstartError, match=r"image_size to be at least 75 for inceptionv3\. Received: 32"):
        build_network(BackboneConfig("inceptionv3", "none"), HeadConfig("head"), 3, SIZE, seed=0)
