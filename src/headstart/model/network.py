"""Builds a classifier from pixels, preprocessing, backbone and head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.config import BackboneConfig, HeadConfig
from headstart.model.backbones.blocks import Block, find_blocks
from headstart.model.backbones.registry import build_backbone, get_entry
from headstart.model.backbones.spec import BackboneEntry
from headstart.model.flips import without_flips
from headstart.model.heads import build_head, without_activation
from headstart.model.include_top import build_with_top, layers_below_output
from headstart.model.multi_depth import backbone_below, read_every_depth, reads_every_depth
from headstart.model.preprocessing import preprocess

if TYPE_CHECKING:
    import keras


@dataclass
class Network:
    """A classifier and its parts, which share their variables."""

    entry: BackboneEntry
    backbone: keras.Model  # from preprocessed images to its deepest feature map
    features: keras.Model  # the backbone, or with a head on every depth its averages at all split points
    head: keras.Model
    blocks: list[Block]  # of the backbone, from input to output
    classifier: keras.Model  # from RGB pixels 0-255 to probabilities; the model that is saved

    def training_model(self, batch_norm: str) -> keras.Model:
        """Return the model that a stage trains, with the same variables as the classifier.

        Args:
            batch_norm: `frozen` runs the whole backbone in inference mode, so that its batch norms use the statistics
                of pretraining; `train` runs trainable layers in training mode.
        """
        if batch_norm == "train":
            return self.classifier
        return _connect(self.entry, inference_mode(self.features), self.head, self.classifier.input.shape[1:])

    def with_logits(self) -> Network:
        """Return the network without the head's last activation, with copies of the weights of the output layer."""
        head = without_activation(self.head)
        classifier = _connect(self.entry, self.features, head, self.classifier.input.shape[1:])
        return Network(self.entry, self.backbone, self.features, head, self.blocks, classifier)


def inference_mode(backbone: keras.Model) -> keras.layers.Layer:
    """Return a layer that calls a backbone, or a part of one, in inference mode even during training."""
    import keras

    class InferenceMode(keras.layers.Layer):
        # Passing training=False when building the classifier has no lasting effect: during fit, a functional model
        # passes training=True to every layer inside (Keras 3.15, models/functional.py, operation_fn).
        def __init__(self, backbone: keras.Model) -> None:
            super().__init__(name="backbone_in_inference_mode")
            self.backbone = backbone

        def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
            return self.backbone(images, training=False)

    return InferenceMode(backbone)


def build_network(
    backbone: BackboneConfig, head: HeadConfig, classes: int, image_size: int, seed: int, with_weights: bool = True
) -> Network:
    """Build a classifier from its configuration.

    Args:
        backbone: the network, and the source of its weights.
        head: the layers on top.
        classes: number of classes, at least 2.
        image_size: side of the square input in pixels.
        seed: of the new layers' initial weights.
        with_weights: whether to load the backbone's weights; otherwise all variables are random.

    Raises:
        HeadstartError: when the backbone is unknown, its weights are missing or do not fit, the images are too small,
            or the head does not fit the backbone.
    """
    entry = get_entry(backbone.name)
    weights = backbone.weights if with_weights else "none"
    own_layers: list[keras.layers.Layer] = []
    if head.pooling == "include_top":
        network, own_layers = build_with_top(entry, weights, image_size)
        if head.output != "imagenet":
            own_layers = layers_below_output(own_layers)
    else:
        network = build_backbone(backbone.name, weights, image_size)
    features = read_every_depth(network) if head.pooling == "multi_depth" else network
    top = build_head(head, tuple(features.output.shape[1:]), classes, seed, own_layers)
    classifier = _connect(entry, features, top, (image_size, image_size, 3))
    return Network(entry, network, features, top, find_blocks(network, entry), classifier)


def parts_of(classifier: keras.Model, entry: BackboneEntry) -> Network:
    """Return a classifier with its parts, without the flips that it may have.

    Args:
        classifier: a model from `build_network`, possibly with flips, and saved and loaded in between.
        entry: of its backbone.
    """
    plain = without_flips(classifier)
    features, head = plain.get_layer("backbone"), plain.get_layer("head")
    backbone = backbone_below(features) if reads_every_depth(features) else features
    return Network(entry, backbone, features, head, find_blocks(backbone, entry), plain)


def _connect(
    entry: BackboneEntry, features: keras.layers.Layer, head: keras.Model, shape: tuple[int, ...]
) -> keras.Model:
    """Connect preprocessing, backbone and head to a model from pixels to probabilities."""
    import keras

    pixels = keras.Input(shape, name="pixels", dtype="float32")
    return keras.Model(pixels, head(features(preprocess(entry.preprocessing, pixels))), name="classifier")
