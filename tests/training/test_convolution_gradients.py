"""The gradients of convolutions against those of TensorFlow."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from headstart.training.convolution_gradients import has_faster_gradient, speed_up_convolution_gradients

IMAGES = np.random.default_rng(0).normal(size=(3, 7, 6, 4)).astype(np.float32)


def gradients(model: keras.Model) -> list[np.ndarray]:
    """Return the gradients of a sum of squares, by the input and by every variable."""
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(model(images, training=True) ** 2)
    variables = [variable.value for variable in model.trainable_variables]
    return [gradient.numpy() for gradient in tape.gradient(loss, [images, *variables])]


def one_layer(**arguments: object) -> keras.Model:
    images = keras.Input(IMAGES.shape[1:])
    return keras.Model(
        images, keras.layers.Conv2D(5, bias_initializer="normal", activation="relu", **arguments)(images)
    )


@pytest.mark.parametrize("size", [1, 3, (1, 5), (7, 1)])
def test_gradients_and_outputs_are_those_of_tensorflow(size: object) -> None:
    keras.utils.set_random_seed(0)
    model = one_layer(kernel_size=size, padding="same")
    expected, outputs = gradients(model), model.predict(IMAGES, verbose=0)
    speed_up_convolution_gradients(model.layers)
    assert "convolution_op" in vars(model.layers[1])
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), outputs)
    for gradient, of_tensorflow in zip(gradients(model), expected, strict=True):
        np.testing.assert_allclose(gradient, of_tensorflow, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
        {"kernel_size": 3, "padding": "same", "groups": 1, "data_format": "channels_first"},
        {"kernel_size": 3, "padding": "valid"},
        {"kernel_size": 2, "padding": "same"},
    ],
)
def test_a_gradient_that_is_no_convolution_of_the_same_size_stays(arguments: dict[str, object]) -> None:
    assert not has_faster_gradient(keras.layers.Conv2D(5, **arguments))


def test_a_depthwise_convolution_stays() -> None:
    assert not has_faster_gradient(keras.layers.DepthwiseConv2D(3, padding="same"))


def test_half_precision_is_kept() -> None:
    model = one_layer(kernel_size=3, padding="same", dtype="mixed_bfloat16")
    speed_up_convolution_gradients(model.layers)
    assert model(IMAGES).dtype == "bfloat16"
    assert gradients(model)[1].dtype == np.float32


def test_a_model_is_saved_as_before(tmp_path: Path) -> None:
    model = one_layer(kernel_size=1)
    speed_up_convolution_gradients(model.layers)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert "convolution_op" not in vars(loaded.layers[1])
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))
