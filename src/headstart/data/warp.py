"""Geometry: affine maps about the image's centre, and the operation that applies them to a batch.

A map takes a point of the *output* to the point of the *input* whose colour it shows, as `ImageProjectiveTransformV3`
expects. Points are (x, y) in pixels from the centre, x to the right and y down. In this direction `a @ b` first applies
`a` to the image, then `b`. So any chain of maps is one matrix, and pixels are interpolated only once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def affine(
    rotation: tf.Tensor | float = 0.0,
    shift: tuple[tf.Tensor | float, tf.Tensor | float] = (0.0, 0.0),
    shear: tuple[tf.Tensor | float, tf.Tensor | float] = (0.0, 0.0),
    zoom: tuple[tf.Tensor | float, tf.Tensor | float] = (1.0, 1.0),
    flip: tf.Tensor | bool = False,
) -> tf.Tensor:
    """Return the (3, 3) map that rotates one image, then shifts, shears, zooms and flips it.

    The order and the meaning of `zoom` are those of Keras' ImageDataGenerator (`apply_affine_transform`).

    Args:
        rotation: degrees, counter-clockwise on the screen.
        shift: pixels to the right and down.
        shear: tangents of two angles: how far a row slides to the right for each pixel that it lies above the centre,
            and how far a column slides down for each pixel that it lies left of the centre.
        zoom: the share of the width and of the height that is shown: 0.8 enlarges, 1.2 shrinks; above 0.
        flip: whether to mirror left and right.
    """
    import tensorflow as tf

    angle = tf.cast(rotation, tf.float32) * (math.pi / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    mirror = tf.where(flip, -1.0, 1.0)
    rotated = tf.stack([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    shifted = tf.stack([[1.0, 0.0, -shift[0]], [0.0, 1.0, -shift[1]], [0.0, 0.0, 1.0]])
    sheared = tf.stack([[1.0, shear[0], 0.0], [shear[1], 1.0, 0.0], [0.0, 0.0, 1.0]])
    zoomed = tf.stack([[zoom[0] * mirror, 0.0, 0.0], [0.0, zoom[1], 0.0], [0.0, 0.0, 1.0]])
    return rotated @ shifted @ sheared @ zoomed


def projective(matrix: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Return a map as the 8 numbers of a projective transform whose origin is the top left pixel.

    Args:
        matrix: (3, 3), about the centre, as `affine` returns it.
        height: of the image, pixels.
        width: of the image, pixels.
    """
    import tensorflow as tf

    # Pixel centres have whole numbers, so the centre of an even side lies between its two middle pixels.
    center_x = (tf.cast(width, tf.float32) - 1) / 2
    center_y = (tf.cast(height, tf.float32) - 1) / 2
    from_center = tf.stack([[1.0, 0.0, center_x], [0.0, 1.0, center_y], [0.0, 0.0, 1.0]])
    to_center = tf.stack([[1.0, 0.0, -center_x], [0.0, 1.0, -center_y], [0.0, 0.0, 1.0]])
    return tf.reshape(from_center @ matrix @ to_center, [9])[:8]


def warp(images: tf.Tensor, transforms: tf.Tensor, fill: str) -> tf.Tensor:
    """Apply to each image its transform, with bilinear interpolation.

    Args:
        images: float32 (batch, height, width, channels).
        transforms: float32 (batch, 8), as `projective` returns them.
        fill: how to fill the outside of the image: nearest, reflect or constant (black).
    """
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        interpolation="BILINEAR",
        fill_mode=fill.upper(),
        fill_value=0.0,
    )
