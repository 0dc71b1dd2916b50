"""The kinds of parameters that a stage can train alone: those of norms, and biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

BIASES = ("bias", "beta")  # Keras's names: of convolutions and dense layers, and of norms


def is_norm(layer: keras.layers.Layer) -> bool:
    """Return whether a layer normalises activations and then scales and shifts them.

    Args:
        layer: of a backbone.
    """
    import keras

    kinds = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization)
    return isinstance(layer, kinds)


def is_bias(variable: keras.Variable) -> bool:
    """Return whether a variable is added to activations.

    Args:
        variable: weight of a layer.
    """
    return variable.name in BIASES


def has_bias(layer: keras.layers.Layer) -> bool:
    """Return whether one of a layer's weights is a bias.

    Args:
        layer: of a backbone.
    """
    return any(map(is_bias, layer.weights))


def held_back(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Return the weights that a stage keeps frozen although their layer trains.

    Keras has no public list of the variables that a layer would train. The statistics of a batch norm are not among
    them.

    Args:
        layer: of a backbone.
    """
    return [variable for variable in layer._trainable_variables if layer.trainable and not variable.trainable]
