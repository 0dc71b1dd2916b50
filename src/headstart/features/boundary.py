"""The freeze boundary: the deepest cut below everything that trains in a stage.

What lies before it gives the same activations for an image as long as the stage lasts, so that they can be computed
once. Where only the head trains, its own first layers belong to the frozen part too as long as they neither learn nor
depend on chance: of a pooled feature map only the averages need to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.config import TrainTarget
from headstart.model.freeze import layers_to_train
from headstart.model.network import Network, inference_mode
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import find_split_points, last_split_point_before, split_at

if TYPE_CHECKING:
    import keras

SMALLEST_SHARE = 0.1  # of the backbone's layers; less is not worth its activations, which are large near the images


@dataclass(frozen=True)
class Boundary:
    """A classifier in two parts that share its variables; together they compute the classifier's numbers."""

    split_point: str  # name of the last frozen layer
    prefix: keras.Model  # RGB pixels 0-255 to activations
    suffix: keras.Model  # activations to probabilities; what it holds of the backbone is in inference mode


def frozen_boundary(network: Network, train: TrainTarget) -> Boundary | None:
    """Return the two parts of a classifier for a stage, None where no cut is deep enough to be of use.

    Args:
        network: the classifier.
        train: the stage's `train`.

    Raises:
        HeadstartError: when it says something that is not valid for this backbone.
    """
    import keras

    opened = layers_to_train(network, train)
    if opened:
        point = last_split_point_before(network.backbone, opened[0].name)
        if point is None:
            return None
        name = point.name
        prefix, rest = split_at(network.backbone, name)
        if len(prefix.layers) < SMALLEST_SHARE * len(network.backbone.layers):
            return None
        activations = keras.Input(prefix.output.shape[1:], name="activations")
        suffix = keras.Model(activations, network.head(inference_mode(rest)(activations)), name="suffix")
        parts = [prefix]
    else:
        still = _last_still_layer(network.head)
        name = still or find_split_points(network.backbone)[-1].name
        first, suffix = split_at(network.head, still) if still else (None, network.head)
        parts = [network.backbone, *([first] if first else [])]
    pixels = keras.Input(network.classifier.input.shape[1:], name="pixels", dtype="float32")
    values = preprocess(network.entry.preprocessing, pixels)
    for part in parts:
        values = part(values)
    return Boundary(name, keras.Model(pixels, values, name="prefix"), suffix)


def _last_still_layer(head: keras.Model) -> str | None:
    """Return the last of a head's first layers that neither learn nor depend on chance; None when there is none."""
    import keras

    split_points = {point.name for point in find_split_points(head)}
    last = None
    for layer in head.layers[1:]:
        if layer.weights or isinstance(layer, keras.layers.Dropout):
            break
        if layer.name in split_points:
            last = layer.name
    return last
