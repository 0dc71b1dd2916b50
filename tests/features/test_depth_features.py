"""One pass gives the features at every split point and the outputs of the network's own classifier."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import write_pictures
from tiny import index_of

from headstart.cache.store import Cache
from headstart.config import BackboneConfig, HeadConfig
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.pixel_cache import Pixels
from headstart.features.activation_cache import ActivationCache
from headstart.features.depth_features import build_multi_depth_outputs, depth_features, imagenet_probabilities
from headstart.model.network import build_network
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import split_point_outputs

SIZE = 32
PACKAGED = BackboneConfig("efficientnet_lite0", "packaged")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory):
    root = write_pictures(tmp_path_factory.mktemp("depth"), {"red": 3, "blue": 2})
    return check_images(index_of(root), "fail", tmp_path_factory.mktemp("checked"))[0]


@pytest.mark.parametrize("keep", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_one_pass_gives_every_split_point_and_the_classifier(images, tmp_path: Path, keep: bool) -> None:
    cache = Cache(tmp_path / "tables", 1e9)
    activations = ActivationCache(cache, Pixels(SIZE, "stretch", cache))
    outputs = build_multi_depth_outputs(PACKAGED, SIZE)
    found = depth_features(outputs, images, activations, keep)

    network = build_network(
        PACKAGED, HeadConfig("imagenet", pooling="include_top", output="imagenet"), 1000, SIZE, seed=0
    )
    pixels = np.stack([load_image(images.file(place), SIZE, "stretch") for place in range(len(images))])
    probabilities, why_none = imagenet_probabilities(found, PACKAGED, SIZE)
    np.testing.assert_allclose(probabilities, network.classifier(pixels).numpy(), atol=1e-5)
    assert not why_none
    tensors = split_point_outputs(network.backbone)
    chosen = [outputs.split_points[0], outputs.split_points[13], outputs.split_points[-1]]
    directly = keras.Model(network.backbone.inputs[0], [tensors[point.name] for point in chosen])
    maps = directly(preprocess("lite", keras.ops.cast(pixels, "float32")))
    for point, values in zip(chosen, maps, strict=True):
        expected = keras.ops.convert_to_numpy(values).mean(axis=(1, 2))
        np.testing.assert_allclose(found.at(point), expected, rtol=1e-3, atol=1e-4)
    assert activations.computed == len(images)

    again = ActivationCache(cache, Pixels(SIZE, "stretch", cache))
    depth_features(build_multi_depth_outputs(PACKAGED, SIZE), images, again, keep)
    assert again.reused == (len(images) if keep else 0)


def test_split_points_are_ordered_by_depth_without_redundant_ones() -> None:
    outputs = build_multi_depth_outputs(PACKAGED, SIZE)
    names, depths = (
        [point.name for point in outputs.split_points],
        [point.depth for point in outputs.split_points],
    )
    assert depths == sorted(depths)
    assert 0 < depths[0] < 0.05
    assert depths[-1] == 1
    assert names[-1] == "top_activation"
    assert not any(name.endswith("conv") for name in names)  # a norm follows each of them
    assert [point.columns.start for point in outputs.split_points[1:]] == [
        point.columns.stop for point in outputs.split_points[:-1]
    ]


@pytest.mark.slow
def test_weights_without_a_classifier_still_give_features(images, tmp_path: Path) -> None:
    network = build_network(BackboneConfig("mobilenetv2", "none"), HeadConfig("linear"), 3, SIZE, seed=0)
    file = tmp_path / "mine.weights.h5"
    network.backbone.save_weights(file)
    backbone = BackboneConfig("mobilenetv2", str(file))
    outputs = build_multi_depth_outputs(backbone, SIZE)
    found = depth_features(outputs, images, memory_of(tmp_path), keep=False)
    probabilities, why_none = imagenet_probabilities(found, backbone, SIZE)
    assert probabilities is None
    assert "has only the backbone" in why_none
    assert found.at(outputs.split_points[-1]).shape == (len(images), 1280)


def test_a_classifier_of_whole_feature_maps_is_left_out_with_the_reason(images, tmp_path: Path, monkeypatch) -> None:
    from headstart.features import depth_features as module

    monkeypatch.setattr(module, "build_with_top", lambda entry, weights, size: (None, [keras.layers.Flatten()]))
    outputs = build_multi_depth_outputs(BackboneConfig("vgg16", "none"), SIZE)
    assert outputs.split_points[-1].name == "block5_pool"
    found = depth_features(outputs, images, memory_of(tmp_path), keep=False)
    assert "whole feature map" in imagenet_probabilities(found, BackboneConfig("vgg16", "imagenet"), SIZE)[1]


def memory_of(directory: Path) -> ActivationCache:
    cache = Cache(directory / "tables", 1e9)
    return ActivationCache(cache, Pixels(SIZE, "stretch", cache))
