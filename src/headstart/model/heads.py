"""The layers on top of a backbone: new ones, or the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.config import HeadConfig
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import keras
    import numpy as np


def build_head(
    config: HeadConfig,
    features: tuple[int, int, int],
    classes: int,
    seed: int,
    own_layers: Sequence[keras.layers.Layer] = (),
) -> keras.Model:
    """Build a head as a model of its own, so that it can be trained on stored activations too.

    Args:
        config: pooling, hidden layer, dropout and kind of output.
        features: height, width and channels of what the backbone gives.
        classes: number of classes, at least 2.
        seed: of the initial weights and of the dropout.
        own_layers: for `pooling: include_top` the network's own layers, from the bottom up; for `output: imagenet` with
            its own output, else without.

    Returns:
        A model named `head`, from (batch, height, width, channels) to (batch, classes) probabilities, or to
        (batch, 1), the probability of the second class, where `output` is `sigmoid`.

    Raises:
        HeadstartError: when one sigmoid is asked for with more or fewer than two classes.
    """
    import keras

    if config.output == "sigmoid" and classes != 2:
        raise HeadstartError(
            f"Expected two classes for head.output=sigmoid. Received: {classes}; use head.output=softmax"
        )

    def dense(units: int, activation: str, name: str, order: int) -> keras.layers.Dense:
        # float32 whatever the precision policy: probabilities and their loss need it.
        dtype = "float32" if name == "output" else None
        initializer = keras.initializers.GlorotUniform(seed=seed + order)
        return keras.layers.Dense(units, activation, kernel_initializer=initializer, name=name, dtype=dtype)

    inputs = keras.Input(features, name="features")
    if config.pooling == "include_top":
        x = inputs
        for layer in own_layers:
            x = layer(x)
        if config.output == "imagenet":
            return keras.Model(inputs, x, name="head")
        if len(x.shape) > 2:  # the MobileNets classify by a convolution of one position
            x = keras.layers.Flatten(name="flatten")(x)
    elif config.pooling == "flatten":
        x = keras.layers.Flatten(name="flatten")(inputs)
    else:
        x = keras.layers.GlobalAveragePooling2D(name="average")(inputs)
    if config.units:
        x = dense(config.units, "relu", "hidden", 1)(x)
    if config.batch_norm:
        # A new head is trained for tens or hundreds of steps: with the default momentum of 0.99 its moving statistics
        # would still be those it started with.
        x = keras.layers.BatchNormalization(momentum=0.9, name="batch_norm")(x)
    if config.dropout:
        x = keras.layers.Dropout(config.dropout, seed=seed + 2, name="dropout")(x)
    outputs = (
        dense(1, "sigmoid", "output", 3)(x) if config.output == "sigmoid" else dense(classes, "softmax", "output", 3)(x)
    )
    return keras.Model(inputs, outputs, name="head")


def class_probabilities(outputs):  # type: ignore[no-untyped-def]
    """Return one column per class, (n, classes), from the (n, 1) of a sigmoid or the (n, classes) of a softmax."""
    import numpy as np

    outputs = np.asarray(outputs, dtype=np.float32)
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs


def best_labels(probabilities: np.ndarray, class_names: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    """Return the likeliest labels of a picture with their confidence, the likeliest first.

    Args:
        probabilities: float (classes,).
        class_names: in the same order.
        top: how many, fewer where there are fewer classes.
    """
    order = probabilities.argsort()[::-1][:top]
    return [{"label": class_names[place], "confidence": round(float(probabilities[place]), 6)} for place in order]
