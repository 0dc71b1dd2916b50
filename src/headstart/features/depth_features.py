"""Features of a pretrained network at every depth, and the outputs of its own classifier, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.cache.table import Rows
from headstart.config import BackboneConfig
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import ActivationCache, InMemory
from headstart.features.boundary import EVERY_SPLIT_POINT, Boundary
from headstart.model.backbones.registry import build_backbone, get_entry
from headstart.model.include_top import build_with_top
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import split_point_outputs

if TYPE_CHECKING:
    import keras

READ_AT_ONCE = 256  # images
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


@dataclass(frozen=True)
class MultiDepthOutputs:
    """A backbone with an output at every split point."""

    boundary: Boundary  # its prefix gives all averages, then the probabilities
    split_points: tuple[SplitPoint, ...]  # from the images to the top
    probabilities: slice | None  # columns of the ImageNet classifier
    why_none: str  # the reason if there are no probabilities


@dataclass(frozen=True)
class DepthFeatures:
    """The averaged feature maps of images at every split point, on disk or in memory."""

    rows: Rows | InMemory
    count: int  # images
    outputs: MultiDepthOutputs

    def at(self, point: SplitPoint) -> np.ndarray:
        """Return the averages at one split point, float (n, channels)."""
        return self._read(point.columns)

    def probabilities(self) -> np.ndarray | None:
        """Return the outputs of the ImageNet classifier, (n, 1000); None if there is none."""
        return None if self.outputs.probabilities is None else self._read(self.outputs.probabilities)

    def _read(self, columns: slice) -> np.ndarray:
        """Read some columns, a few images at a time: all columns of all images may not fit into memory."""
        order = [
            np.arange(start, min(start + READ_AT_ONCE, self.count)) for start in range(0, self.count, READ_AT_ONCE)
        ]
        return np.concatenate([batch[:, columns] for batch in self.rows.batches(iter(order))]).astype(np.float32)


def build_multi_depth_outputs(backbone: BackboneConfig, image_size: int) -> MultiDepthOutputs:
    """Build a pretrained backbone with an output at every split point, and with its own classifier if it has one.

    Args:
        backbone: which network, with which weights.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: when the weights of the backbone are missing or do not match.
    """
    import keras

    network, own_layers, why_none = _with_classifier(backbone, image_size)
    depths = _depths(network)
    tensors = {
        name: tensor
        for name, tensor in split_point_outputs(network).items()
        if len(tensor.shape) == 4 and depths[name] > 0 and not _adds_nothing(network, tensor)
    }
    pixels = keras.Input((image_size, image_size, 3), name="pixels", dtype="float32")
    every_depth = keras.Model(network.inputs[0], [*tensors.values(), network.outputs[0]])
    *maps, top = every_depth(preprocess(get_entry(backbone.name).preprocessing, pixels))
    averages = [keras.layers.GlobalAveragePooling2D()(values) for values in maps]
    bounds = np.cumsum([0, *(average.shape[-1] for average in averages)])
    split_points = tuple(
        SplitPoint(name, depths[name], slice(int(start), int(end)))
        for name, start, end in zip(tensors, bounds[:-1], bounds[1:], strict=True)
    )
    probabilities = None
    if own_layers:
        for layer in own_layers:
            top = layer(top)
        averages.append(top)
        probabilities = slice(int(bounds[-1]), int(bounds[-1]) + top.shape[-1])
    joined = averages[0] if len(averages) == 1 else keras.layers.Concatenate(name="averages")(averages)
    features = keras.Input(joined.shape[1:], name="features")
    boundary = Boundary(EVERY_SPLIT_POINT, keras.Model(pixels, joined, name="prefix"), keras.Model(features, features))
    return MultiDepthOutputs(boundary, split_points, probabilities, why_none)


def depth_features(
    outputs: MultiDepthOutputs, index: ImageIndex, activations: ActivationCache, keep: bool
) -> DepthFeatures:
    """Run images through a backbone once, and return the averages at every split point.

    Args:
        outputs: the backbone.
        index: the images, with their digests.
        activations: the cache of the run.
        keep: whether to cache them on disk if they fit.
    """
    if keep and not activations.objection(outputs.boundary, [index]):
        rows: Rows | InMemory = activations.rows(outputs.boundary, index, "train")
    else:
        rows = activations.in_memory(outputs.boundary, index, "train")
    return DepthFeatures(rows, len(index), outputs)


def _with_classifier(backbone: BackboneConfig, image_size: int) -> tuple[keras.Model, list[keras.layers.Layer], str]:
    """Return a backbone, the layers of its classifier, and the reason if there are none."""
    entry = get_entry(backbone.name)
    if backbone.weights not in entry.weights:
        why = "the weights come from your own file, which has only the backbone"
    else:
        try:
            return *build_with_top(entry, backbone.weights, image_size), ""
        except HeadstartError as error:  # the probes work without the classifier, but not without the backbone
            why = str(error)
    return build_backbone(backbone.name, backbone.weights, image_size), [], why


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
    weighted = np.cumsum([bool(getattr(operation, "weights", [])) for operation in network.operations])
    return {
        operation.name: float(count) / float(weighted[-1])
        for operation, count in zip(network.operations, weighted, strict=True)
    }
