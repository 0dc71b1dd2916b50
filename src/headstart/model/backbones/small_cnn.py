"""A small convolutional network to train from scratch, as a baseline for transfer learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def build_small_cnn(image_size: int) -> keras.Model:
    """Build three blocks of a 3x3 convolution with ReLU and 2x2 max pooling, with 32, 32 and 64 filters.

    Source: F. Chollet, "Building powerful image classification models using very little data", Keras blog, 2016.

    Args:
        image_size: side of the square input in pixels, at least 22.

    Returns:
        A functional model from images (batch, image_size, image_size, 3) to feature maps of 64 channels.
    """
    import keras

    inputs = keras.Input((image_size, image_size, 3))
    x = inputs
    for block, filters in enumerate((32, 32, 64), start=1):
        x = keras.layers.Conv2D(filters, 3, activation="relu", name=f"block{block}_conv")(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return keras.Model(inputs, x)
