"""EfficientNet-Lite: EfficientNet for edge devices, without squeeze-and-excitation and with ReLU6.

Source: R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020, and M. Tan and Q. Le,
"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019 (https://arxiv.org/abs/1905.11946).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import keras
    import numpy as np


class Stage(NamedTuple):
    """Inverted residual layers at one resolution, before scaling."""

    repeats: int
    filters: int
    stride: int  # of the first layer
    kernel: int
    expansion: int


STAGES = (
    Stage(1, 16, 1, 3, 1),
    Stage(2, 24, 2, 3, 6),
    Stage(2, 40, 2, 5, 6),
    Stage(3, 80, 2, 3, 6),
    Stage(3, 112, 1, 5, 6),
    Stage(4, 192, 2, 5, 6),
    Stage(1, 320, 1, 3, 6),
)
STEM_FILTERS = 32  # Lite does not scale the stem, the top and the repeats of the first and the last stage
TOP_FILTERS = 1280
COEFFICIENTS = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2)}
TOP_DROPOUT = {"efficientnet_lite0": 0.2, "efficientnet_lite1": 0.2, "efficientnet_lite2": 0.3}

# Layer names in the published PyTorch checkpoints, by the suffix of the Keras layer's name.
CHECKPOINT_NAMES = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
CLASSIFIER_TENSORS = ("_fc.weight", "_fc.bias")


def build_efficientnet_lite(name: str, image_size: int, with_top: bool = False) -> keras.Model:
    """Build EfficientNet-Lite with random weights.

    Args:
        name: one of COEFFICIENTS.
        image_size: side of the square input in pixels, at least 32.
        with_top: include the classifier with ImageNet's 1000 classes.

    Returns:
        A functional model from images (batch, image_size, image_size, 3) to feature maps of 1280 channels, or to class
        probabilities.
    """
    import keras

    width, depth = COEFFICIENTS[name]
    inputs = keras.Input((image_size, image_size, 3))
    x = _relu6(_convolution(inputs, STEM_FILTERS, "stem_", kernel=3, stride=2), "stem_activation")
    for number, stage in enumerate(STAGES, start=1):
        scaled = number not in (1, len(STAGES))
        repeats = math.ceil(depth * stage.repeats) if scaled else stage.repeats
        for repeat in range(repeats):
            x = _inverted_residual(
                x,
                filters=_round_filters(width * stage.filters),
                stride=stage.stride if repeat == 0 else 1,
                kernel=stage.kernel,
                expansion=stage.expansion,
                prefix=f"block{number}{'abcdefgh'[repeat]}_",
            )
    x = _relu6(_convolution(x, TOP_FILTERS, "top_"), "top_activation")
    if with_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dropout(TOP_DROPOUT[name], name="top_dropout")(x)
        x = keras.layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x)


def assign_checkpoint(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Set the weights of an EfficientNet-Lite from the tensors of its PyTorch checkpoint.

    Args:
        model: a model from `build_efficientnet_lite`.
        tensors: a checkpoint from `read_checkpoint`. Batch counters are ignored, and so is the classifier if the model
            has none.

    Raises:
        HeadstartError: when a tensor is missing, unused or has another shape than the layer.
    """
    unused = {name for name in tensors if name not in CLASSIFIER_TENSORS and not name.endswith(".num_batches_tracked")}
    for layer, prefix in _checkpoint_prefixes(model):
        values = []
        for suffix, weight in zip(_tensor_suffixes(layer), layer.weights, strict=True):
            name = f"{prefix}.{suffix}"
            if name not in tensors:
                raise HeadstartError(f"Expected a tensor {name} for layer {layer.name}. Received: no such tensor")
            value = _to_keras_layout(tensors[name], layer)
            if value.shape != tuple(weight.shape):
                raise HeadstartError(
                    f"Expected tensor {name} to have the shape {tuple(weight.shape)} of layer {layer.name}. "
                    f"Received: {value.shape}"
                )
            unused.discard(name)
            values.append(value)
        layer.set_weights(values)
    if unused:
        raise HeadstartError(f"Expected only tensors of layers in {model.name}. Received: {sorted(unused)[0]}")


def _convolution(
    x: keras.KerasTensor, filters: int, prefix: str, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    import keras

    x = keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{prefix}conv"
    )(x)
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{prefix}bn")(x)


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    import keras

    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def _inverted_residual(
    inputs: keras.KerasTensor, filters: int, stride: int, kernel: int, expansion: int, prefix: str
) -> keras.KerasTensor:
    import keras

    x = inputs
    if expansion > 1:
        x = _convolution(x, expansion * inputs.shape[-1], f"{prefix}expand_")
        x = _relu6(x, f"{prefix}expand_activation")
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, depthwise_initializer="he_normal", name=f"{prefix}dwconv"
    )(x)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{prefix}bn")(x)
    x = _relu6(x, f"{prefix}activation")
    x = _convolution(x, filters, f"{prefix}project_")
    if stride == 1 and inputs.shape[-1] == filters:
        x = keras.layers.Add(name=f"{prefix}add")([x, inputs])
    return x


def _round_filters(filters: float) -> int:
    """Round to a multiple of 8, but not down by more than 10 %."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _checkpoint_prefixes(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Yield each layer with weights and its name in the checkpoint, which numbers inverted residuals from 0."""
    ends = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "top_conv": "_conv_head",
        "top_bn": "_bn1",
        "predictions": "_fc",
    }
    residuals: dict[str, int] = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name in ends:
            yield layer, ends[layer.name]
        else:
            residual, _, part = layer.name.partition("_")
            number = residuals.setdefault(residual, len(residuals))
            yield layer, f"_blocks.{number}.{CHECKPOINT_NAMES[part]}"


def _tensor_suffixes(layer: keras.layers.Layer) -> tuple[str, ...]:
    import keras

    if isinstance(layer, keras.layers.BatchNormalization):
        return ("weight", "bias", "running_mean", "running_var")
    return ("weight", "bias") if isinstance(layer, keras.layers.Dense) else ("weight",)


def _to_keras_layout(value: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Transpose a kernel from PyTorch's (out, in), (out, in, height, width) or (channels, 1, height, width)."""
    import keras

    if value.ndim == 2:
        return value.T
    if value.ndim != 4:
        return value
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
