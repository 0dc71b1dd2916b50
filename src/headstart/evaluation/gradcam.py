"""Grad-CAM: the regions of an image that support the prediction, from the deepest feature maps of a classifier.

Source: R. R. Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization,
ICCV 2017, equations 1 and 2. The score of a class is its logit, because the gradient of a saturated softmax vanishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.model.flips import without_flips
from headstart.model.heads import without_activation
from headstart.model.multi_depth import backbone_below, reads_every_depth, split_features_at
from headstart.model.split_points import find_split_points, split_at, split_point_outputs

if TYPE_CHECKING:
    import keras

SMALLEST_SIDE = 4  # cells; a smaller map does not localise anything
SHALLOW = 0.25  # share of a backbone's weighted layers that respond to textures rather than objects
BATCH_SIZE = 16  # images at once, because the gradients of a batch are kept in memory


class GradCam:
    """Computes heat maps of one classifier, which is split once."""

    def __init__(self, model: keras.Model, compiled: bool = False) -> None:
        """Split a classifier at the feature maps to explain.

        Args:
            model: from RGB pixels to probabilities through the layers `backbone` and `head`, as saved. With flips, the
                heat maps explain the image as it is.
            compiled: whether to compile a graph, which takes seconds and pays for more than about a hundred images.
        """
        import tensorflow as tf

        model = without_flips(model)
        features, head = model.get_layer("backbone"), model.get_layer("head")
        every_depth = reads_every_depth(features)
        layer = choose_layer(backbone_below(features) if every_depth else features)
        # With a head on every depth, the averages of shallower maps are constant for the maps that are explained.
        below, above = (split_features_at if every_depth else split_at)(features, layer)
        rows, columns = below.outputs[0].shape[1:3]
        self.description = f"Grad-CAM at {layer}, {rows} x {columns} cells"
        preprocessing = find_split_points(model)[:-2]  # the layers before backbone and head
        first = [split_at(model, preprocessing[-1].name)[0]] if preprocessing else []
        logits = without_activation(head)
        shape = model.input.shape[1:]

        def heat(pixels: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            for part in first:
                pixels = part(pixels, training=False)
            maps, *averages = tf.nest.flatten(below(pixels, training=False))
            with tf.GradientTape() as tape:
                tape.watch(maps)
                scores = logits(above([maps, *averages] if averages else maps, training=False))
                if scores.shape[1] == 1:  # one sigmoid: its logit supports the second class
                    scores = tf.concat([-scores, scores], axis=1)
                score = tf.gather(scores, classes, batch_dims=1)  # an image's score depends on no other image
            weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
            coarse = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1, keepdims=True))
            fine = tf.image.resize(coarse, shape[:2])[..., 0]
            return tf.math.divide_no_nan(fine, tf.reduce_max(fine, axis=(1, 2), keepdims=True))

        signature = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None,), tf.int32)]
        self._heat = tf.function(heat, input_signature=signature, autograph=False) if compiled else heat

    def heat_maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return how much each region of each image supports a class, float32 (n, height, width).

        Each map is scaled to its own maximum: 0 means no support, 1 the strongest support in that image. Maps compare
        regions, not images. A map is 0 everywhere if no region supports the class.

        Args:
            images: RGB pixels 0-255, (n, height, width, 3), n at least 1.
            classes: int (n,), one class per image.
        """
        pixels, chosen = images.astype(np.float32), classes.astype(np.int32)
        batches = [
            self._heat(pixels[start : start + BATCH_SIZE], chosen[start : start + BATCH_SIZE])
            for start in range(0, len(images), BATCH_SIZE)
        ]
        return np.concatenate([batch.numpy() for batch in batches])


def choose_layer(backbone: keras.Model) -> str:
    """Return the split point of a backbone whose feature maps Grad-CAM explains.

    It is the deepest one with at least SMALLEST_SIDE cells per side: deeper maps reflect the score better, as long as
    they have enough cells to localise. Layers without weights belong to the weights before them if they keep the map's
    size, as activations do. Pooling and padding do not, so VGG16 is split before its last pooling layer. If no map
    after the SHALLOW layers is large enough (small images, or NASNet, which has no split point between its stem and its
    last layers), the largest map there is used, even if it is a single cell.

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
