"""Features of a pretrained network at every depth, in one pass, and what its own classifier says about the deepest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.cache.segments import NotCachedError
from headstart.config import BackboneConfig, HeadConfig, HeadOnly
from headstart.core.errors import HeadstartError
from headstart.data.batch_order import blocks_of
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import ActivationCache
from headstart.features.boundary import Boundary, frozen_boundary
from headstart.model.backbones.registry import get_entry
from headstart.model.include_top import build_with_top
from headstart.model.multi_depth import SplitPoint, split_points_of
from headstart.model.network import build_network

if TYPE_CHECKING:
    import keras

    from headstart.data.pixel_cache import Batches

AT_ONCE = 256  # images through the classifier
MULTI_DEPTH = HeadConfig("multi_depth", pooling="multi_depth")


@dataclass(frozen=True)
class MultiDepthOutputs:
    """A backbone with an output at every split point."""

    boundary: Boundary  # its prefix gives all averages
    split_points: tuple[SplitPoint, ...]  # from the images to the top
    parameters: int  # of the backbone


@dataclass(frozen=True)
class ChosenRows:
    """Some of other rows."""

    rows: Batches
    positions: np.ndarray  # of the chosen ones, int (n,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.rows.dtype

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield (batch, ...) for each array of positions among the chosen rows."""
        return self.rows.batches(self.positions[positions] for positions in order)


@dataclass(frozen=True)
class DepthFeatures:
    """The averaged feature maps of images at every split point, on disk or in memory."""

    rows: Batches
    count: int  # images
    outputs: MultiDepthOutputs

    def take(self, positions: np.ndarray) -> DepthFeatures:
        """Return the features of the images at some positions.

        Args:
            positions: int (n,).
        """
        return DepthFeatures(ChosenRows(self.rows, positions), len(positions), self.outputs)

    def at(self, point: SplitPoint) -> np.ndarray:
        """Return the averages at one split point, float32 (n, channels), read a few images at a time."""
        order = blocks_of(np.arange(self.count))
        parts = [batch[:, point.columns] for batch in self.rows.batches(iter(order))]
        return np.concatenate(parts).astype(np.float32)


def build_multi_depth_outputs(backbone: BackboneConfig, image_size: int) -> MultiDepthOutputs:
    """Build a pretrained backbone with an output at every split point; a run with `head=multi_depth` has the same.

    Args:
        backbone: which network, with which weights.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: when the weights of the backbone are missing or do not match.
    """
    network = build_network(backbone, MULTI_DEPTH, classes=2, image_size=image_size, seed=0)
    boundary = frozen_boundary(network, HeadOnly())
    if boundary is None:
        raise ValueError(f"Expected {backbone.name} to have a split point below its head")
    return MultiDepthOutputs(boundary, tuple(split_points_of(network.features)), network.backbone.count_params())


def depth_features(
    outputs: MultiDepthOutputs, index: ImageIndex, activations: ActivationCache, keep: bool, name: str = "train"
) -> DepthFeatures:
    """Run images through a backbone once, and return the averages at every split point.

    Args:
        outputs: the backbone.
        index: the images, with their digests.
        activations: the cache of the run.
        keep: whether to cache them on disk if they fit.
        name: of the split, for the progress bar.
    """
    if keep and not activations.objection(outputs.boundary, [index]):
        try:
            return DepthFeatures(activations.rows(outputs.boundary, index, name), len(index), outputs)
        except NotCachedError:  # another process has filled the disk meanwhile
            pass
    return DepthFeatures(activations.in_memory(outputs.boundary, index, name), len(index), outputs)


def imagenet_probabilities(
    features: DepthFeatures, backbone: BackboneConfig, image_size: int
) -> tuple[np.ndarray | None, str]:
    """Return what the backbone's own ImageNet classifier says about images, from the averages of its deepest map.

    Args:
        features: of the images.
        backbone: which network, with which weights.
        image_size: side of the square input in pixels.

    Returns:
        Float32 (n, 1000) and an empty text, or None and the reason why there are no probabilities.
    """
    try:
        classifier = _classifier_of_averages(backbone, image_size)
    except HeadstartError as error:
        return None, str(error)
    values = features.at(features.outputs.split_points[-1])
    return np.asarray(classifier.predict(values, batch_size=AT_ONCE, verbose=0), np.float32), ""


def _classifier_of_averages(backbone: BackboneConfig, image_size: int) -> keras.Model:
    """Return the layers of a backbone's own classifier that follow its global average pooling.

    Raises:
        HeadstartError: when there are none.
    """
    import keras

    entry = get_entry(backbone.name)
    if backbone.weights not in entry.weights:
        raise HeadstartError("the weights come from your own file, which has only the backbone")
    _, (pooling, *layers) = build_with_top(entry, backbone.weights, image_size)
    if not isinstance(pooling, keras.layers.GlobalAveragePooling2D):
        raise HeadstartError(f"the classifier of {entry.name} reads the whole feature map, not its averages")
    averages = keras.Input((pooling.output.shape[-1],))
    values = keras.layers.Reshape((1, 1, averages.shape[-1]))(averages) if pooling.keepdims else averages
    for layer in layers:
        values = layer(values)
    return keras.Model(averages, values)
