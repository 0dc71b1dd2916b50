"""A backbone that returns the averages of its feature maps at every depth, for a head that reads them all.

Source: U. Evci, V. Dumoulin, H. Larochelle, M. C. Mozer, "Head2Toe: Utilizing Intermediate Representations for Better
Transfer Learning", ICML 2022 (https://arxiv.org/abs/2201.03529).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from headstart.model.split_points import split_point_outputs

if TYPE_CHECKING:
    import keras

EVERY_DEPTH = "every_depth"  # name of the layer that concatenates the averages
AVERAGE = "average_of_"  # prefix of the names of the layers that average
PADDING = "ZeroPadding2D"
# If one of these alone reads a feature map, the averages of the map add nothing to those of the reader's output: a norm
# is linear in each channel.
FOLLOWERS = ("BatchNormalization", "LayerNormalization", "Activation", "ReLU", PADDING)


@dataclass(frozen=True)
class SplitPoint:
    """A depth at which a backbone can be split in two."""

    name: str  # of the layer whose output is averaged
    depth: float  # share of the backbone's weighted layers up to here, 0 to 1
    columns: slice  # of the features


def read_every_depth(backbone: keras.Model) -> keras.Model:
    """Return a model from images to the averages of the backbone's feature maps at all split points.

    It shares the backbone's layers and variables. A feature map adds nothing if only a norm or an activation reads it.

    Args:
        backbone: a functional model, see `find_split_points`; its output is a feature map.

    Returns:
        A model named like the backbone, from images to (batch, features): the averages from the shallowest feature map
        to the deepest.
    """
    import keras

    depths = _depths(backbone)
    averages = [
        keras.layers.GlobalAveragePooling2D(name=f"{AVERAGE}{name}")(tensor)
        for name, tensor in split_point_outputs(backbone).items()
        if len(tensor.shape) == 4 and depths[name] > 0 and not _adds_nothing(backbone, tensor)
    ]
    return keras.Model(backbone.inputs[0], keras.layers.Concatenate(name=EVERY_DEPTH)(averages), name=backbone.name)


def reads_every_depth(features: keras.Model) -> bool:
    """Return whether a model of a classifier's features is one of `read_every_depth`."""
    return any(layer.name == EVERY_DEPTH for layer in features.layers)


def backbone_below(features: keras.Model) -> keras.Model:
    """Return the backbone that a model of `read_every_depth` averages, up to its deepest feature map.

    Args:
        features: the model, possibly saved and loaded in between.
    """
    import keras

    return keras.Model(features.inputs[0], _maps(features)[-1], name=features.name)


def split_points_of(features: keras.Model) -> list[SplitPoint]:
    """Return the depths that a model of `read_every_depth` averages, from the shallowest to the deepest.

    Args:
        features: the model.
    """
    depths = _depths(features)
    maps = _maps(features)
    bounds = list(accumulate((int(tensor.shape[-1]) for tensor in maps), initial=0))
    names = [tensor._keras_history.operation.name for tensor in maps]
    return [
        SplitPoint(name, depths[name], slice(start, end))
        for name, (start, end) in zip(names, pairwise(bounds), strict=True)
    ]


def split_features_at(features: keras.Model, layer_name: str) -> tuple[keras.Model, keras.Model]:
    """Split a model of `read_every_depth` after a split point of its backbone into two models that share its variables.

    Args:
        features: the model.
        layer_name: name of a split point of its backbone.

    Returns:
        The prefix, from images to a list of the feature map at the split point and the averages of shallower maps, and
        the suffix, from such a list to the averages at all depths.
    """
    import keras

    order = {operation.name: position for position, operation in enumerate(features.operations)}
    shallower = [
        average
        for average, map_ in zip(_averages(features), _maps(features), strict=True)
        if order[map_._keras_history.operation.name] < order[layer_name]
    ]
    values = [split_point_outputs(backbone_below(features))[layer_name], *shallower]
    prefix = keras.Model(features.inputs[0], values, name="prefix")
    return prefix, keras.Model(values, features.outputs[0], name="suffix")


def _averages(features: keras.Model) -> list[keras.KerasTensor]:
    """Return the averages that a model of `read_every_depth` concatenates."""
    operation, call, _ = features.outputs[0]._keras_history
    return list(operation._inbound_nodes[call].input_tensors)


def _maps(features: keras.Model) -> list[keras.KerasTensor]:
    """Return the feature maps that a model of `read_every_depth` averages."""
    averages = [average._keras_history for average in _averages(features)]
    return [operation._inbound_nodes[call].input_tensors[0] for operation, call, _ in averages]


def _adds_nothing(network: keras.Model, tensor: keras.KerasTensor) -> bool:
    """Return whether a split point only pads, or its only reader is one of FOLLOWERS, whose output is one too."""
    if type(tensor._keras_history.operation).__name__ == PADDING:
        return True
    readers = [
        operation
        for operation in network.operations
        for node in operation._inbound_nodes
        if any(argument is tensor for argument in node.input_tensors)
    ]
    return len(readers) == 1 and type(readers[0]).__name__ in FOLLOWERS


def _depths(network: keras.Model) -> dict[str, float]:
    """Return, for each operation, the share of the weighted layers up to and including it."""
    weighted = list(accumulate(bool(getattr(operation, "weights", [])) for operation in network.operations))
    return {operation.name: count / weighted[-1] for operation, count in zip(network.operations, weighted, strict=True)}
