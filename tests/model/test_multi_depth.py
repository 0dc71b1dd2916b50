"""A backbone that reads every depth returns the averages of its feature maps, whole or in two parts."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import pictures, tiny_network

from headstart.config import HeadOnly, LastBlock
from headstart.features.boundary import EVERY_SPLIT_POINT, frozen_boundary
from headstart.model.multi_depth import reads_every_depth, split_features_at, split_points_of
from headstart.model.network import Network, parts_of
from headstart.model.split_points import split_point_outputs

IMAGES = pictures(2)[0]


@pytest.fixture(scope="module", params=["small_cnn", "mobilenetv2"])
def network(request: pytest.FixtureRequest) -> Network:
    return tiny_network(request.param, pooling="multi_depth")


def test_the_features_are_the_averages_of_the_maps_at_each_split_point(network: Network) -> None:
    points = split_points_of(network.features)
    tensors = split_point_outputs(network.backbone)
    maps = keras.Model(network.backbone.inputs[0], [tensors[point.name] for point in points])(IMAGES)
    features = keras.ops.convert_to_numpy(network.features(IMAGES))
    for point, values in zip(points, maps, strict=True):
        expected = keras.ops.convert_to_numpy(values).mean(axis=(1, 2))
        np.testing.assert_allclose(features[:, point.columns], expected, rtol=1e-4, atol=1e-5)
    assert points[-1].depth == 1
    assert features.shape[1] == points[-1].columns.stop


def test_the_features_can_be_split_at_every_split_point(network: Network) -> None:
    whole = keras.ops.convert_to_numpy(network.features(IMAGES))
    points = split_points_of(network.features)
    for point in (points[0], points[len(points) // 2], points[-1]):
        prefix, suffix = split_features_at(network.features, point.name)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(suffix(prefix(IMAGES))), whole, atol=1e-6)


@pytest.mark.parametrize("train", [HeadOnly(), LastBlock()])
def test_the_frozen_part_and_the_rest_compute_the_classifiers_outputs(network: Network, train) -> None:
    boundary = frozen_boundary(network, train)
    assert (boundary.split_point == EVERY_SPLIT_POINT) == (train == HeadOnly())
    assert len(boundary.prefix.output.shape) == 2
    composed = keras.ops.convert_to_numpy(boundary.suffix(boundary.prefix(IMAGES)))
    np.testing.assert_allclose(composed, keras.ops.convert_to_numpy(network.classifier(IMAGES)), atol=1e-6)


def test_a_saved_classifier_has_the_same_parts(network: Network, tmp_path: Path) -> None:
    network.classifier.save(tmp_path / "model.keras")
    loaded = parts_of(keras.saving.load_model(tmp_path / "model.keras"), network.entry)
    assert reads_every_depth(loaded.features)
    assert split_points_of(loaded.features) == split_points_of(network.features)
    assert [block.name for block in loaded.blocks] == [block.name for block in network.blocks]
    assert [layer.name for layer in loaded.backbone.layers] == [layer.name for layer in network.backbone.layers]
