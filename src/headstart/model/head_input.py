"""What the head of a classifier reads of an image, as a second output beside the probabilities: one pass, two outputs.

A feature map is averaged over its positions, so that every kind of head gives one vector per image: the average of the
deepest feature map, or with a head on every depth the averages at all split points.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from headstart.model.flips import has_flips, without_flips

if TYPE_CHECKING:
    import keras


def with_head_input(classifier: keras.Model) -> keras.Model:
    """Return a model of a classifier's output and of what its head reads, (n, features).

    With flips, the second output is that of the image as it is.

    Args:
        classifier: a model through the layer `head`, as `build_network` makes it, possibly with flips; or the part of
            one after a split point in the backbone. All weights are shared with it. A model without such a layer is
            returned as it is.
    """
    import keras

    plain = without_flips(classifier)
    read = _read_by_head(plain)
    if read is None:
        return classifier
    both = keras.Model(plain.inputs[0], [plain.outputs[0], _averaged(read)], name=classifier.name)
    if not has_flips(classifier):
        return both
    pixels = keras.Input(classifier.input.shape[1:], name="pixels", dtype="float32")
    outputs, features = both(pixels)
    mirrored = plain(keras.ops.flip(pixels, axis=2))
    average = keras.layers.Average(name="average", dtype="float32")([outputs, mirrored])
    return keras.Model(pixels, [average, features], name=classifier.name)


def suffix_with_head_input(suffix: keras.Model, head: keras.Model) -> keras.Model:
    """Return the same for the part of a classifier after a split point, which may lie in its head.

    Args:
        suffix: from activations to the output.
        head: the classifier's whole head. If the suffix begins in the head, the activations are a feature map, its
            average, its values in one row, or the averages at every depth.
    """
    import keras

    if _read_by_head(suffix) is not None:
        return with_head_input(suffix)
    activations = suffix.inputs[0]
    read, shape = activations, tuple(head.input.shape[1:])
    if len(shape) == 3 and len(activations.shape) == 2 and activations.shape[1] == math.prod(shape):
        read = keras.layers.Reshape(shape, name="feature_map")(activations)  # the head flattens it
    return keras.Model(activations, [suffix.outputs[0], _averaged(read)], name=suffix.name)


def _read_by_head(model: keras.Model) -> keras.KerasTensor | None:
    """Return what the layer `head` reads, which gives the model's output; None if another layer gives it."""
    operation, call, _ = model.outputs[0]._keras_history
    return operation._inbound_nodes[call].input_tensors[0] if operation.name == "head" else None


def _averaged(read: keras.KerasTensor) -> keras.KerasTensor:
    """Return one value per channel of a feature map; a vector as it is."""
    import keras

    if len(read.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name="average_of_head_input", dtype="float32")(read)
    return keras.layers.Identity(name="head_input", dtype="float32")(read)
