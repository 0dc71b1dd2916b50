"""A classifier put together: pixels, preprocessing, backbone, head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.config import BackboneConfig, HeadConfig
from headstart.model.backbones import BackboneEntry, build_backbone, get_entry
from headstart.model.blocks import Block, find_blocks
from headstart.model.heads import build_head
from headstart.model.preprocessing import preprocess

if TYPE_CHECKING:
    import keras


@dataclass
class Network:
    """A classifier and the parts that it is made of; they share their variables."""

    entry: BackboneEntry
    backbone: keras.Model
    head: keras.Model
    blocks: list[Block]  # of the backbone, from input to output
    classifier: keras.Model  # RGB pixels 0-255 to probabilities, the backbone always in inference mode

    def with_batch_statistics(self) -> keras.Model:
        """Return the same classifier whose backbone follows the training mode, for `batch_norm: train`."""
        return _connect(self.entry, self.backbone, self.head, training=None)


def build_network(
    backbone: BackboneConfig, head: HeadConfig, classes: int, image_size: int, seed: int, with_weights: bool = True
) -> Network:
    """Build a classifier from its configuration.

    Args:
        backbone: which network and where its weights come from.
        head: which new layers.
        classes: number of classes, at least 2.
        image_size: side of the square input in pixels.
        seed: of the new layers' initial weights.
        with_weights: whether the backbone's weights are loaded; without, every variable starts at random.

    Raises:
        HeadstartError: for an unknown backbone, weights that are missing or do not fit, an image too small.
    """
    entry = get_entry(backbone.name)
    network = build_backbone(backbone.name, backbone.weights if with_weights else "none", image_size)
    top = build_head(head, tuple(network.output.shape[1:]), classes, seed)
    classifier = _connect(entry, network, top, training=False)
    return Network(entry, network, top, find_blocks(network, entry), classifier)


def _connect(entry: BackboneEntry, backbone: keras.Model, head: keras.Model, training: bool | None) -> keras.Model:
    """Return the model from pixels to probabilities through the given parts."""
    import keras

    pixels = keras.Input(backbone.input.shape[1:], name="pixels", dtype="float32")
    x = preprocess(entry.preprocessing, pixels)
    # Without the argument Keras passes on the mode of fit or predict; False holds batch norm and dropout still.
    x = backbone(x) if training is None else backbone(x, training=training)
    return keras.Model(pixels, head(x), name="classifier")
