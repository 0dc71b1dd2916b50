"""New heads: their layers, outputs, seeds and precision."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from headstart.config import HeadConfig, compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.model.heads import build_head, class_probabilities

FEATURES = (2, 2, 8)
OPTIONS = sorted(file.stem for file in conf_directory().glob("head/*.yaml"))
NEW = [option for option in OPTIONS if compose([f"head={option}"]).head.pooling != "include_top"]


def features(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, *FEATURES)).astype(np.float32)


@pytest.mark.parametrize("option", NEW)
def test_every_shipped_new_head_gives_probabilities(option: str) -> None:
    config = compose([f"head={option}"]).head
    maps = features()
    values = maps.mean(axis=(1, 2)) if config.pooling == "multi_depth" else maps  # its features are averages already
    head = build_head(config, values.shape[1:], 3, seed=0)
    outputs = head.predict(values, verbose=0)
    assert outputs.shape == (4, 3)
    assert outputs.min() > 0
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    assert head.name == "head"


def test_a_head_has_the_configured_layers() -> None:
    config = HeadConfig("x", pooling="flatten", units=5, batch_norm=True, dropout=0.5)
    head = build_head(config, FEATURES, 3, seed=0)
    assert [layer.name for layer in head.layers] == ["features", "flatten", "hidden", "batch_norm", "dropout", "output"]
    assert head.count_params() == (32 * 5 + 5) + 4 * 5 + (5 * 3 + 3)
    plain = build_head(HeadConfig("x"), FEATURES, 3, seed=0)
    assert [layer.name for layer in plain.layers] == ["features", "average", "output"]
    assert plain.count_params() == 8 * 3 + 3


@pytest.mark.parametrize(("width", "flattened"), [(2, ["flatten"]), (1, [])])
def test_a_new_output_on_layers_of_the_network_s_own(width: int, flattened: list[str]) -> None:
    own = [keras.layers.GlobalAveragePooling2D(keepdims=True, name="own")]
    own += [] if flattened else [keras.layers.Flatten(name="own_flat")]
    config = HeadConfig("x", pooling="include_top", dropout=0.5)
    head = build_head(config, (width, width, 8), 3, seed=0, own_layers=own)
    names = ["features", *(layer.name for layer in own), *flattened, "dropout", "output"]
    assert [layer.name for layer in head.layers] == names
    assert head.output.shape == (None, 3)


def test_one_sigmoid_is_the_probability_of_the_second_class() -> None:
    head = build_head(HeadConfig("x", output="sigmoid"), FEATURES, 2, seed=0)
    outputs = head.predict(features(), verbose=0)
    assert outputs.shape == (4, 1)
    columns = class_probabilities(outputs)
    np.testing.assert_allclose(columns, np.concatenate([1 - outputs, outputs], axis=1))
    np.testing.assert_array_equal(class_probabilities(columns), columns)


@pytest.mark.parametrize("classes", [3, 10])
def test_one_sigmoid_for_more_than_two_classes_is_refused(classes: int) -> None:
    with pytest.raises(HeadstartError, match=rf"two classes for head\.output=sigmoid\. Received: {classes}"):
        build_head(HeadConfig("x", output="sigmoid"), FEATURES, classes, seed=0)


def test_the_seed_decides_the_weights_and_the_layers_differ() -> None:
    config = HeadConfig("x", units=8)

    def kernels(seed: int) -> list[np.ndarray]:
        head = build_head(config, FEATURES, 8, seed)
        return [head.get_layer(name).kernel.numpy() for name in ("hidden", "output")]

    first, again, other = kernels(1), kernels(1), kernels(2)
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.allclose(one, different)
    assert not np.allclose(*first)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_output_stays_float32(precision: str, output: str) -> None:
    keras.config.set_dtype_policy(precision)
    try:
        head = build_head(HeadConfig("x", units=4, output=output), FEATURES, 2, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert head.get_layer("hidden").compute_dtype == precision.removeprefix("mixed_")
    assert head.output.dtype == "float32"
