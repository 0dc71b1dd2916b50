"""Which parts of a picture speak for a class: Grad-CAM on the deepest feature maps of a classifier.

Source: R. R. Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization,
ICCV 2017, equations 1 and 2. The score of a class is its logit: behind a softmax that is sure of itself no gradient is
left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.model.split_points import find_split_points, split_at, split_point_outputs

if TYPE_CHECKING:
    import keras

SMALLEST_SIDE = 4  # cells of a map: fewer tell no places apart
SHALLOW = 0.25  # share of a backbone's weighted layers that know textures, not things
BATCH_SIZE = 16  # pictures at once; the gradients of a batch are kept in memory


class GradCam:
    """Heat maps of one classifier, which is split and compiled once for all pictures."""

    def __init__(self, model: keras.Model) -> None:
        """Split a classifier at the feature maps that are looked at.

        Args:
            model: RGB pixels to probabilities through a layer `backbone` and a layer `head`, as it is saved.
        """
        import tensorflow as tf

        backbone, head = model.get_layer("backbone"), model.get_layer("head")
        layer = choose_layer(backbone)
        below, above = split_at(backbone, layer)
        rows, columns = below.output.shape[1:3]
        self.description = f"Grad-CAM at {layer}, {rows} x {columns} cells"
        preprocessing = find_split_points(model)[:-2]  # a plain chain: what comes before backbone and head
        first = [split_at(model, preprocessing[-1].name)[0]] if preprocessing else []
        logits = _logits(head)
        shape = model.input.shape[1:]

        @tf.function(input_signature=[tf.TensorSpec((None, *shape)), tf.TensorSpec((None,), tf.int32)])
        def heat(pixels: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            maps = pixels
            for part in (*first, below):
                maps = part(maps, training=False)
            with tf.GradientTape() as tape:
                tape.watch(maps)
                scores = logits(above(maps, training=False))
                if scores.shape[1] == 1:  # one sigmoid: its logit speaks for the second class, against the first
                    scores = tf.concat([-scores, scores], axis=1)
                score = tf.gather(scores, classes, batch_dims=1)  # of a picture depends on no other picture
            weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
            coarse = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
            fine = tf.image.resize(coarse, shape[:2])[..., 0]
            return tf.math.divide_no_nan(fine, tf.reduce_max(fine, axis=(1, 2), keepdims=True))

        self._heat = heat

    def heat_maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return for each picture how much each of its places speaks for a class, float32 (n, height, width).

        Each map is scaled to its own maximum: 0 is nothing, or against the class, 1 is the place of that picture that
        speaks for it most. Maps compare places, not pictures. A map is 0 everywhere when nothing speaks for the class.

        Args:
            images: RGB pixels 0-255, (n, height, width, 3), n at least 1.
            classes: int (n,), one class a picture.
        """
        batches = [
            self._heat(images[start : start + BATCH_SIZE].astype(np.float32), classes[start : start + BATCH_SIZE])
            for start in range(0, len(images), BATCH_SIZE)
        ]
        return np.concatenate([batch.numpy() for batch in batches])


def choose_layer(backbone: keras.Model) -> str:
    """Return the cut of a backbone whose feature maps are looked at.

    It is the deepest one whose map has SMALLEST_SIDE cells a side: the deeper a map, the more the score depends on what
    it calls hot, as long as it has cells enough to tell places apart. What follows the last weights at a depth counts
    as long as it keeps the size; an activation does, a pooling or padding does not, so that VGG16 is cut before its
    last pooling. Where no map behind the SHALLOW layers has that many cells (small pictures, or NASNet, which has no
    cut between its stem and its last layers), it is the largest there, be it of a single cell.

    Args:
        backbone: a functional model, see `find_split_points`.
    """
    weighted = np.cumsum([bool(getattr(operation, "weights", ())) for operation in backbone.operations])
    depths = {operation.name: int(depth) for operation, depth in zip(backbone.operations, weighted, strict=True)}
    outputs = split_point_outputs(backbone)
    sizes = {name: tensor.shape[1:3] for name, tensor in outputs.items()}
    at_depth: dict[int, str] = {}
    for name in outputs:
        first = at_depth.setdefault(depths[name], name)
        if sizes[name] == sizes[first]:
            at_depth[depths[name]] = name
    deep = [name for depth, name in at_depth.items() if depth > SHALLOW * weighted[-1]]
    return max(deep, key=lambda name: (min(SMALLEST_SIDE, *sizes[name]), depths[name]))


def _logits(head: keras.Model) -> keras.Model:
    """Return a head without its last activation, which is a layer of its own or belongs to the last layer."""
    import keras

    *_, before, last = find_split_points(head)
    body, _ = split_at(head, before.name)
    if not last.weights:
        return body
    linear = type(last).from_config({**last.get_config(), "activation": "linear"})
    whole = keras.Model(body.input, linear(body.output))
    linear.set_weights(last.get_weights())
    return whole
