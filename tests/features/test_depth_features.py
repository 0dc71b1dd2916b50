"""One pass gives what every cut gives, and what the network's own classifier says."""

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
from headstart.features.depth_features import build_multi_depth_outputs, depth_features
from headstart.model.network import build_network
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import split_point_outputs

SIZE = 32
PACKAGED = BackboneConfig("efficientnet_lite0", "packaged")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory):
    root = write_pictures(tmp_path_factory.mktemp("depth"), {"red": 3, "blue": 2})
    return check_images(index_of(root), "fail", tmp_path_factory.mktemp("checked"))[0]


@pytest.mark.parametrize("keep", [True, False])
def test_every_cut_and_the_classifier_from_one_pass(images, tmp_path: Path, keep: bool) -> None:
    cache = Cache(tmp_path / "tables", 1e9)
    activations = ActivationCache(cache, Pixels(SIZE, "stretch", cache))
    taps = build_multi_depth_outputs(PACKAGED, SIZE)
    found = depth_features(taps, images, activations, keep)

    network = build_network(
        PACKAGED, HeadConfig("imagenet", pooling="include_top", output="imagenet"), 1000, SIZE, seed=0
    )
    pixels = np.stack([load_image(images.file(place), SIZE, "stretch") for place in range(len(images))])
    np.testing.assert_allclose(found.probabilities(), network.classifier(pixels).numpy(), atol=1e-5)
    outputs = split_point_outputs(network.backbone)
    chosen = [taps.split_points[0], taps.split_points[13], taps.split_points[-1]]
    directly = keras.Model(network.backbone.inputs[0], [outputs[point.name] for point in chosen])
    maps = directly(preprocess("lite", keras.ops.cast(pixels, "float32")))
    for point, values in zip(chosen, maps, strict=True):
        expected = keras.ops.convert_to_numpy(values).mean(axis=(1, 2))
        np.testing.assert_allclose(found.at(point), expected, rtol=1e-3, atol=1e-4)
    assert activations.computed == len(images)

    again = ActivationCache(cache, Pixels(SIZE, "stretch", cache))
    depth_features(build_multi_depth_outputs(PACKAGED, SIZE), images, again, keep)
    assert again.reused == (len(images) if keep else 0)


def test_the_cuts_go_from_the_images_to_the_top_and_none_says_the_same_twice() -> None:
    taps = build_multi_depth_outputs(PACKAGED, SIZE)
    names, depths = (
        [point.name for point in taps.split_points],
        [point.depth for point in taps.split_points],
    )
    assert depths == sorted(depths)
    assert 0 < depths[0] < 0.05
    assert depths[-1] == 1
    assert names[-1] == "top_activation"
    assert not any(name.endswith("conv") for name in names)  # a norm follows each of them
    assert [point.columns.start for point in taps.split_points[1:]] == [
        point.columns.stop for point in taps.split_points[:-1]
    ]
    assert taps.probabilities == slice(taps.split_points[-1].columns.stop, taps.split_points[-1].columns.stop + 1000)


def test_a_network_whose_classifier_is_not_there_is_probed_all_the_same(tmp_path: Path) -> None:
    network = build_network(BackboneConfig("mobilenetv2", "none"), HeadConfig("linear"), 3, SIZE, seed=0)
    file = tmp_path / "mine.weights.h5"
    network.backbone.save_weights(file)
    taps = build_multi_depth_outputs(BackboneConfig("mobilenetv2", str(file)), SIZE)
    assert taps.probabilities is None
    assert "only the backbone is known" in taps.why_none
    assert taps.boundary.prefix.output.shape[1] == taps.split_points[-1].columns.stop


def test_a_classifier_that_fits_no_other_size_is_left_out_with_the_reason(monkeypatch) -> None:
    from headstart.features import depth_features

    built = depth_features.build_backbone
    monkeypatch.setattr(depth_features, "build_backbone", lambda name, weights, size: built(name, "none", size))
    taps = build_multi_depth_outputs(BackboneConfig("vgg16", "imagenet"), SIZE)
    assert "image_size=224" in taps.why_none
    assert taps.split_points[-1].name == "block5_pool"
