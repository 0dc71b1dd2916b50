"""A network as it was published: its backbone, and its own layers from there to ImageNet's 1000 classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.model.backbones.efficientnet_lite import build_efficientnet_lite
from headstart.model.backbones.keras_applications import build_application
from headstart.model.backbones.registry import check_image_size
from headstart.model.backbones.spec import BackboneEntry
from headstart.model.backbones.weights import check_weights, load_weights
from headstart.model.split_points import find_split_points, split_at

if TYPE_CHECKING:
    import keras


def check_include_top(config: Config, entry: BackboneEntry, image_size: int) -> None:
    """Raise when a run cannot use the backbone's own layers as configured, or has no labels to learn from.

    Args:
        config: the resolved configuration.
        entry: the backbone's entry.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: naming the key that has to change.
    """
    head, dataset = config.head, config.dataset
    if dataset.source == "unlabelled" and head.output != "imagenet":
        raise HeadstartError(
            f"Expected head=imagenet for images without labels, from which nothing can be learned. "
            f"Received: head={head.name}",
            "to train it, label the images: dataset=folder or dataset=csv",
        )
    if head.output == "imagenet":
        if dataset.source != "unlabelled":
            raise HeadstartError(
                f"Expected dataset=unlabelled for head.output=imagenet, whose classes are ImageNet's own. "
                f"Received: dataset={dataset.name}",
                "choose dataset=unlabelled dataset.root=DIRECTORY, or to learn "
                "the dataset's classes another head: head=linear, or head=include_top for the network's own layers",
            )
        if head.pooling != "include_top" or head.units or head.batch_norm or head.dropout or head.fit != "gradient":
            raise HeadstartError(
                "Expected head.output=imagenet with the network's own layers alone: head.pooling=include_top and "
                f"nothing new. Received: head={head.name} with other values",
                "choose head=imagenet",
            )
        if config.find_lr:
            raise HeadstartError("Expected find_lr=false for head=imagenet, which trains nothing. Received: true")
    if head.pooling == "include_top":
        check_top_layers(entry, config.backbone.weights, image_size)


def check_top_layers(entry: BackboneEntry, weights: str, image_size: int) -> None:
    """Raise when a backbone has no layers of its own above the feature map, or they do not fit the size of the images.

    Args:
        entry: the backbone's entry.
        weights: `imagenet`, `packaged`, `none` or the path of a file.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: with what to choose instead.
    """
    if not entry.weights:
        raise HeadstartError(
            "Expected a published network, which has layers of its own above its feature map, for "
            f"head.pooling=include_top. Received: {entry.name}",
            "choose another backbone, or head=linear",
        )
    if entry.flattens and weights in entry.weights and image_size != entry.image_size:
        raise HeadstartError(
            f"Expected image_size={entry.image_size} for head.pooling=include_top of {entry.name}, whose own layers "
            f"flatten the feature map and fit no other size. Received: {image_size}",
            f"choose image_size={entry.image_size}, or another head",
        )


def build_with_top(entry: BackboneEntry, weights: str, image_size: int) -> tuple[keras.Model, list[keras.layers.Layer]]:
    """Build a network as it was published, and load its weights.

    Args:
        entry: the backbone's entry.
        weights: `imagenet`, `packaged`, `none` (random) or the path of a file with the classifier, see `load_weights`.
        image_size: side of the square input in pixels.

    Returns:
        The backbone, as `build_backbone` returns it, and the layers above it, see `split_off_top`.

    Raises:
        HeadstartError: when the weights or the size are not valid for this backbone.
    """
    check_image_size(entry, image_size)
    check_weights(entry, weights)
    check_top_layers(entry, weights, image_size)
    if entry.package:
        whole = build_efficientnet_lite(entry.name, image_size, with_top=True)
    else:
        whole = build_application(entry, weights == "imagenet", image_size, with_top=True)
    if weights not in ("imagenet", "none"):
        load_weights(whole, entry, weights, with_top=True)
    return split_off_top(whole)


def split_off_top(whole: keras.Model) -> tuple[keras.Model, list[keras.layers.Layer]]:
    """Split a network after its last feature map: at the first pooling or flattening layer that all paths go through.

    Args:
        whole: from images to the probabilities of classes.

    Returns:
        The backbone, a model named "backbone", and the layers above it, each of which reads the one before.
    """
    import keras

    ends = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten)
    split_points = find_split_points(whole)
    first = next(position for position, point in enumerate(split_points) if isinstance(point, ends))
    prefix, _ = split_at(whole, split_points[first - 1].name)
    return keras.Model(prefix.inputs[0], prefix.outputs[0], name="backbone"), split_points[first:]


def layers_below_output(layers: list[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Return the layers of an original head that a new output layer reads: those before the last one with weights.

    Dropout just before it is left out, because `head.dropout` says how much of it a new output has.

    Args:
        layers: what `split_off_top` returns.
    """
    import keras

    output = max(position for position, layer in enumerate(layers) if layer.weights)
    while isinstance(layers[output - 1], keras.layers.Dropout):
        output -= 1
    return layers[:output]
