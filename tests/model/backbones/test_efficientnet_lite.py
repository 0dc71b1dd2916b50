"""EfficientNet-Lite against what its paper and its published checkpoints say."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from headstart.core.errors import HeadstartError
from headstart.model.backbones.efficientnet_lite import assign_checkpoint, build_efficientnet_lite
from headstart.model.backbones.registry import build_backbone, get_entry
from headstart.model.backbones.torch_checkpoint import read_checkpoint
from headstart.model.backbones.weights import packaged_checkpoint

LARGER = [pytest.param(f"efficientnet_lite{size}", marks=pytest.mark.slow) for size in (1, 2)]


# Parameters of the whole network as published (4.7, 5.4 and 6.1 millions), moving statistics apart.
@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("efficientnet_lite0", 4.65),
        pytest.param("efficientnet_lite1", 5.42, marks=pytest.mark.slow),
        pytest.param("efficientnet_lite2", 6.09, marks=pytest.mark.slow),
    ],
)
def test_size_is_the_published_one(name: str, millions: float) -> None:
    model = build_efficientnet_lite(name, 32)
    trainable = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    classifier = 1280 * 1000 + 1000
    assert (trainable + classifier) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("name", ["efficientnet_lite0", *LARGER])
def test_packaged_weights_arrive_in_their_layers(name: str) -> None:
    backbone = build_backbone(name, "packaged", 32)
    tensors = read_checkpoint(packaged_checkpoint(get_entry(name)))
    assert tensors["_fc.weight"].shape == (1000, 1280)
    stem = tensors["_conv_stem.weight"]  # out, in, height, width
    np.testing.assert_array_equal(backbone.get_layer("stem_conv").kernel.numpy()[0, 2, 1], stem[:, 1, 0, 2])
    depthwise = tensors["_blocks.1._depthwise_conv.weight"]
    kernel = backbone.get_layer("block2a_dwconv").get_weights()[0]
    np.testing.assert_array_equal(kernel[2, 0, :, 0], depthwise[:, 0, 2, 0])
    norm = backbone.get_layer("top_bn")
    np.testing.assert_array_equal(norm.moving_variance.numpy(), tensors["_bn1.running_var"])
    assert norm.epsilon == 1e-3


def test_features_of_trained_weights_are_in_the_range_of_relu6() -> None:
    backbone = build_backbone("efficientnet_lite0", "packaged", 64)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    features = np.asarray(backbone(images, training=False))
    assert features.shape == (2, 2, 2, 1280)
    assert features.min() == 0
    assert 1 < features.max() <= 6


def small_change(change: str) -> dict[str, np.ndarray]:
    tensors = read_checkpoint(packaged_checkpoint(get_entry("efficientnet_lite0")))
    if change == "missing":
        del tensors["_bn1.bias"]
    elif change == "extra":
        tensors["_bn9.bias"] = np.zeros(3, "float32")
    else:
        tensors["_bn1.bias"] = np.zeros(3, "float32")
    return tensors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", "a tensor _bn1.bias for layer top_bn"),
        ("extra", "Received: _bn9.bias"),
        ("shape", r"_bn1.bias to have the shape \(1280,\) of layer top_bn. Received: \(3,\)"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused(change: str, message: str) -> None:
    model = build_efficientnet_lite("efficientnet_lite0", 32)
    with pytest.raises(HeadstartError, match=message):
        assign_checkpoint(model, small_change(change))


def test_strided_layers_pad_as_tensorflow_does() -> None:
    model = build_efficientnet_lite("efficientnet_lite0", 33)
    strides = {layer.padding for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert strides == {"same"}
    assert model.output.shape == (None, 2, 2, 1280)
