"""Test-time flips: a classifier that averages the probabilities of an image and its mirror image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

PLAIN = "plain"  # name of the part that sees one image at a time


def with_flips(classifier: keras.Model) -> keras.Model:
    """Return a classifier that averages its probabilities over an image and its mirror image (left and right swapped).

    Args:
        classifier: from RGB pixels to probabilities; all weights are shared with it.
    """
    import keras

    pixels = keras.Input(classifier.input.shape[1:], name="pixels", dtype="float32")
    plain = keras.Model(classifier.input, classifier.output, name=PLAIN)
    both = [plain(pixels), plain(keras.ops.flip(pixels, axis=2))]
    return keras.Model(pixels, keras.layers.Average(name="average", dtype="float32")(both), name="classifier")


def has_flips(classifier: keras.Model) -> bool:
    """Return whether `with_flips` made a classifier, possibly saved and loaded since."""
    return any(layer.name == PLAIN for layer in classifier.layers)


def without_flips(classifier: keras.Model) -> keras.Model:
    """Return the part of a classifier that sees an image as it is: the whole classifier unless it has flips."""
    return classifier.get_layer(PLAIN) if has_flips(classifier) else classifier
