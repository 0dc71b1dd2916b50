"""The head on top of a backbone: new layers, or the pretrained network's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.config import HeadConfig
from headstart.core.errors import HeadstartError
from headstart.model.split_points import find_split_points, split_at

if TYPE_CHECKING:
    import keras
    import numpy as np


def build_head(
    config: HeadConfig,
    features: tuple[int, ...],
    classes: int,
    seed: int,
    own_layers: Sequence[keras.layers.Layer] = (),
) -> keras.Model:
    """Build a head as a separate model, so that it can also be trained on cached activations.

    Args:
        config: pooling, hidden layer, dropout and kind of output.
        features: height, width and channels of the backbone's output, or for `pooling: multi_depth` the number of
            averages.
        classes: number of classes, at least 2.
        seed: of the initial weights and the dropout.
        own_layers: for `pooling: include_top` the network's own layers, from the bottom up; for `output: imagenet` with
            its own output, else without.

    Returns:
        A model named `head`, from (batch, *features) to (batch, classes) probabilities, or to
        (batch, 1), the probability of the second class, where `output` is `sigmoid`.

    Raises:
        HeadstartError: when the output is one sigmoid and there are not two classes.
    """
    import keras

    if config.output == "sigmoid" and classes != 2:
        raise HeadstartError(
            f"Expected two classes for head.output=sigmoid. Received: {classes}", "use head.output=softmax"
        )

    inputs = keras.Input(features, name="features")
    x = _pooled(config, inputs, own_layers)
    if config.output == "imagenet":
        return keras.Model(inputs, x, name="head")
    if config.units:
        x = _dense(config.units, "relu", "hidden", seed + 1)(x)
    if config.batch_norm:
        # A new head is trained for tens or hundreds of steps: with the default momentum of 0.99 its moving statistics
        # would hardly leave their initial values.
        x = keras.layers.BatchNormalization(momentum=0.9, name="batch_norm")(x)
    if config.dropout:
        x = keras.layers.Dropout(config.dropout, seed=seed + 2, name="dropout")(x)
    units, activation = (1, "sigmoid") if config.output == "sigmoid" else (classes, "softmax")
    return keras.Model(inputs, _dense(units, activation, "output", seed + 3)(x), name="head")


def _pooled(config: HeadConfig, inputs: keras.KerasTensor, own_layers: Sequence[keras.layers.Layer]) -> Any:
    """Return one vector per image; for `output: imagenet` the output of the network's own layers."""
    import keras

    if config.pooling == "multi_depth":  # the features are averages already
        return inputs
    if config.pooling == "flatten":
        return keras.layers.Flatten(name="flatten")(inputs)
    if config.pooling != "include_top":
        return keras.layers.GlobalAveragePooling2D(name="average")(inputs)
    x = inputs
    for layer in own_layers:
        x = layer(x)
    if config.output != "imagenet" and len(x.shape) > 2:  # the MobileNets classify by a convolution of one position
        x = keras.layers.Flatten(name="flatten")(x)
    return x


def _dense(units: int, activation: str, name: str, seed: int) -> keras.layers.Dense:
    import keras

    # The output is float32 whatever the precision policy: probabilities and their loss need it.
    dtype = "float32" if name == "output" else None
    initializer = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=initializer, name=name, dtype=dtype)


def without_activation(head: keras.Model) -> keras.Model:
    """Return a copy of a head without its last activation, which is a separate layer or part of the last one.

    Args:
        head: a model from `build_head`; all layers but the last one are shared with it.
    """
    import keras

    *before, last = find_split_points(head)
    body = split_at(head, before[-1].name)[0] if before else keras.Model(head.input, head.input)
    if not last.weights:
        return keras.Model(body.input, body.output, name="head")
    linear = type(last).from_config({**last.get_config(), "activation": "linear"})
    whole = keras.Model(body.input, linear(body.output), name="head")
    linear.set_weights(last.get_weights())
    return whole


def scale_logits(head: keras.Model, factor: float) -> None:
    """Multiply the logits of a head by a factor, which changes no prediction.

    Args:
        head: its output layer is dense and gets other weights.
        factor: above 0; the inverse of a temperature.
    """
    output = head.get_layer("output")
    output.set_weights([weight * factor for weight in output.get_weights()])


def class_scores(logits):  # type: ignore[no-untyped-def]
    """Return one score per class, (n, classes), whose softmax is `class_probabilities` of the activated logits."""
    import numpy as np

    logits = np.asarray(logits, dtype=np.float32)
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits


def class_probabilities(outputs):  # type: ignore[no-untyped-def]
    """Return one column per class, (n, classes), from the (n, 1) of a sigmoid or the (n, classes) of a softmax."""
    import numpy as np

    outputs = np.asarray(outputs, dtype=np.float32)
    return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs


def predicted_classes(probabilities: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Return the position of each image's class, int (n,).

    Args:
        probabilities: float (n, classes).
        threshold: of two classes, the probability of the second one above which an image gets it, 0 to 1; None gives
            each image its likeliest class, as 0.5 does for two classes.
    """
    return probabilities.argmax(axis=1) if threshold is None else (probabilities[:, 1] > threshold).astype(int)


def best_labels(probabilities: np.ndarray, class_names: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    """Return the most likely labels of an image with their confidence, the most likely first.

    Args:
        probabilities: float (classes,).
        class_names: in the same order.
        top: number of labels, at most that of the classes.
    """
    order = probabilities.argsort()[::-1][:top]
    return [{"label": class_names[place], "confidence": round(float(probabilities[place]), 6)} for place in order]
