"""The freeze boundary: the deepest split point below the layers that a stage trains.

The part before it gives the same activations for an image as long as the stage lasts, so they can be computed once. If
only the head trains, its first layers belong to the frozen part as long as they have no weights and are not random: a
pooled feature map is cached as its averages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.config import TrainTarget
from headstart.model.freeze import layers_to_train
from headstart.model.multi_depth import reads_every_depth, split_features_at
from headstart.model.network import Network, inference_mode
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import find_split_points, last_split_point_before, split_at

if TYPE_CHECKING:
    import keras

SMALLEST_SHARE = (
    0.1  # of the backbone's layers; a shorter prefix is not worth caching: activations near the images are large
)
EVERY_SPLIT_POINT = "every split point"  # in place of a layer's name, for outputs at several depths


@dataclass(frozen=True)
class Boundary:
    """A classifier split in two parts that share its variables; one after the other they compute its outputs."""

    split_point: str  # name of the last frozen layer
    prefix: keras.Model  # RGB pixels 0-255 to activations
    suffix: keras.Model  # activations to probabilities; its part of the backbone is in inference mode


def frozen_boundary(network: Network, train: TrainTarget) -> Boundary | None:
    """Split a classifier for a stage; return None if no split point is deep enough to be worth it.

    Args:
        network: the classifier.
        train: the stage's `train`.

    Raises:
        HeadstartError: when `train` is not valid for this backbone.
    """
    import keras

    opened = layers_to_train(network, train)
    if opened:
        point = last_split_point_before(network.backbone, opened[0].name)
        if point is None:
            return None
        name = point.name
        prefix, rest = _split_features(network, name)
        if len(prefix.layers) < SMALLEST_SHARE * len(network.backbone.layers):
            return None
        activations = keras.Input(prefix.output.shape[1:], name="activations")
        suffix = keras.Model(activations, network.head(inference_mode(rest)(activations)), name="suffix")
        parts = [prefix]
    else:
        pooling = _last_constant_layer(network.head)
        name = pooling or find_split_points(network.backbone)[-1].name
        if reads_every_depth(network.features):
            name = EVERY_SPLIT_POINT
        parts = [network.features]
        if pooling:
            first, suffix = split_at(network.head, pooling)
            parts.append(first)
        else:  # a model of its own, because compiling the head itself would put an optimizer into the saved classifier
            suffix = keras.Model(network.head.inputs[0], network.head.outputs[0], name="suffix")
    pixels = keras.Input(network.classifier.input.shape[1:], name="pixels", dtype="float32")
    values = preprocess(network.entry.preprocessing, pixels)
    for part in parts:
        values = part(values)
    return Boundary(name, keras.Model(pixels, values, name="prefix"), suffix)


def why_no_boundary(network: Network, train: TrainTarget) -> str:
    """Return why a stage that trains part of the backbone has no boundary.

    Args:
        network: the classifier.
        train: the stage's `train`, for which `frozen_boundary` returns None.
    """
    first, layers = layers_to_train(network, train)[0], network.backbone.layers
    weighted = [layer for layer in layers if layer.weights]
    if first is weighted[0] or layers.index(first) < SMALLEST_SHARE * len(layers):
        return f"the trained layers begin at the images ({first.name})"
    return f"{network.entry.name} has no split point below the trained layers"


def _split_features(network: Network, name: str) -> tuple[keras.Model, keras.Model]:
    """Split what the head reads at a split point of the backbone into two models with one tensor between them.

    With a head on every depth, the averages of shallower feature maps are needed beside the map at the split point.
    They travel in one vector: the map, flattened, then the averages.
    """
    import keras

    if not reads_every_depth(network.features):
        return split_at(network.backbone, name)
    prefix, suffix = split_features_at(network.features, name)
    shapes = [tensor.shape[1:] for tensor in suffix.inputs]
    flat = [keras.layers.Flatten()(prefix.outputs[0]), *prefix.outputs[1:]]
    joined = keras.Model(prefix.inputs[0], keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0])
    vector = keras.Input(joined.output.shape[1:], dtype=joined.output.dtype)
    values, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        values.append(keras.layers.Reshape(shape)(vector[:, start : start + size]))
        start += size
    return joined, keras.Model(vector, suffix(values), name="suffix")


def _last_constant_layer(head: keras.Model) -> str | None:
    """Return the last of the head's first layers that have no weights and are not random; None if there is none."""
    import keras

    split_points = {point.name for point in find_split_points(head)}
    last = None
    for layer in head.layers[1:]:
        if layer.weights or isinstance(layer, keras.layers.Dropout):
            break
        if layer.name in split_points:
            last = layer.name
    return last
