"""What a pretrained network makes of images at every depth, and what its own classifier says of them: one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.cache.table import Rows
from headstart.config import BackboneConfig
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import ActivationCache, InMemory
from headstart.features.boundary import Boundary
from headstart.model.backbones.registry import build_backbone, get_entry
from headstart.model.include_top import build_with_top
from headstart.model.preprocessing import preprocess
from headstart.model.split_points import split_point_outputs

if TYPE_CHECKING:
    import keras

READ_AT_ONCE = 256  # images
PADDING = "ZeroPadding2D"
# Where one of these alone reads a feature map, its averages say nothing new (a norm is linear in each channel) or less.
FOLLOWERS = ("BatchNormalization", "LayerNormalization", "Activation", "ReLU", PADDING)


@dataclass(frozen=True)
class SplitPoint:
    """A depth at which a backbone can be cut in two."""

    name: str  # of the layer whose output is averaged
    depth: float  # share of the backbone's layers with weights up to here, 0 to 1
    columns: slice  # of the features


@dataclass(frozen=True)
class MultiDepthOutputs:
    """A backbone with an outlet at every cut."""

    boundary: Boundary  # its prefix gives all averages, then the probabilities
    split_points: tuple[SplitPoint, ...]  # from the images to the top
    probabilities: slice | None  # columns of the classifier of ImageNet
    why_none: str  # why there are no probabilities


@dataclass(frozen=True)
class DepthFeatures:
    """The averaged feature maps of images at every cut, on disk or in memory."""

    rows: Rows | InMemory
    count: int  # images
    taps: MultiDepthOutputs

    def at(self, point: SplitPoint) -> np.ndarray:
        """Return the averages of one cut, float (n, channels)."""
        return self._read(point.columns)

    def probabilities(self) -> np.ndarray | None:
        """Return what the classifier of ImageNet says, (n, 1000); None where there is none."""
        return None if self.taps.probabilities is None else self._read(self.taps.probabilities)

    def _read(self, columns: slice) -> np.ndarray:
        """Read some columns, a few images at a time: all columns of all images would be too much for memory."""
        order = [
            np.arange(start, min(start + READ_AT_ONCE, self.count)) for start in range(0, self.count, READ_AT_ONCE)
        ]
        return np.concatenate([batch[:, columns] for batch in self.rows.batches(iter(order))]).astype(np.float32)


def build_multi_depth_outputs(backbone: BackboneConfig, image_size: int) -> MultiDepthOutputs:
    """Return a pretrained backbone with an outlet at every cut, and its own classifier where it has one.

    Args:
        backbone: which network, with which weights.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: when the weights of the backbone are missing or do not fit.
    """
    import keras

    network, own_layers, why_none = _with_classifier(backbone, image_size)
    depths = _depths(network)
    tensors = {
        name: tensor
        for name, tensor in split_point_outputs(network).items()
        if len(tensor.shape) == 4 and depths[name] > 0 and not _says_less(network, tensor)
    }
    pixels = keras.Input((image_size, image_size, 3), name="pixels", dtype="float32")
    tap = keras.Model(network.inputs[0], [*tensors.values(), network.outputs[0]])
    *maps, top = tap(preprocess(get_entry(backbone.name).preprocessing, pixels))
    outlets = [keras.layers.GlobalAveragePooling2D()(values) for values in maps]
    bounds = np.cumsum([0, *(outlet.shape[-1] for outlet in outlets)])
    split_points = tuple(
        SplitPoint(name, depths[name], slice(int(start), int(end)))
        for name, start, end in zip(tensors, bounds[:-1], bounds[1:], strict=True)
    )
    probabilities = None
    if own_layers:
        for layer in own_layers:
            top = layer(top)
        outlets.append(top)
        probabilities = slice(int(bounds[-1]), int(bounds[-1]) + top.shape[-1])
    joined = outlets[0] if len(outlets) == 1 else keras.layers.Concatenate(name="outlets")(outlets)
    features = keras.Input(joined.shape[1:], name="features")
    boundary = Boundary("every cut", keras.Model(pixels, joined, name="prefix"), keras.Model(features, features))
    return MultiDepthOutputs(boundary, split_points, probabilities, why_none)


def depth_features(
    taps: MultiDepthOutputs, index: ImageIndex, activations: ActivationCache, keep: bool
) -> DepthFeatures:
    """Run images through a backbone once, and return what came out at every cut.

    Args:
        taps: the backbone.
        index: the images, with their digests.
        activations: of the run; keeps what is computed.
        keep: on disk, where there is room.
    """
    if keep and not activations.objection(taps.boundary, [index]):
        rows: Rows | InMemory = activations.rows(taps.boundary, index, "train")
    else:
        rows = activations.in_memory(taps.boundary, index, "train")
    return DepthFeatures(rows, len(index), taps)


def _with_classifier(backbone: BackboneConfig, image_size: int) -> tuple[keras.Model, list[keras.layers.Layer], str]:
    """Return a backbone, the layers of its classifier, and why there are none where there are none."""
    entry = get_entry(backbone.name)
    if backbone.weights not in entry.weights:
        why = "weights from a file of one's own, of which only the backbone is known"
    else:
        try:
            return *build_with_top(entry, backbone.weights, image_size), ""
        except HeadstartError as error:  # the classifier is evidence beside the probes; the backbone must be there
            why = str(error)
    return build_backbone(backbone.name, backbone.weights, image_size), [], why


def _says_less(network: keras.Model, tensor: keras.KerasTensor) -> bool:
    """Tell whether a cut only pads, or all that reads it is one of FOLLOWERS, whose output is a cut too."""
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
    """Return for each operation the share of the layers with weights that come no later."""
    weighted = np.cumsum([bool(getattr(operation, "weights", [])) for operation in network.operations])
    return {
        operation.name: float(count) / float(weighted[-1])
        for operation, count in zip(network.operations, weighted, strict=True)
    }
