"""Random changes of training images: geometry, RandAugment, mixup and cutmix.

Every change is drawn from the seed of its image alone: the same image and seed give the same augmented image in every
batch, order and epoch, so augmented views can be cached. The layers of Keras 3.15 (RandAugment, MixUp, CutMix,
RandomRotation) cannot replace this module: they draw for a whole batch, from a generator that advances with each call,
so the change of an image depends on its batch and on all batches before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.config import AugmentationConfig
from headstart.config.checks import check_values
from headstart.data.warp import affine, projective, warp

if TYPE_CHECKING:
    import tensorflow as tf

# Each gets one random number, drawn even if it is not needed, so that switching one option on leaves the others alone.
DRAWS = (
    *("flip", "rotation", "shift_x", "shift_y", "shear", "zoom_x", "zoom_y"),
    *("operation_1", "sign_1", "operation_2", "sign_2"),
)
# The operations of RandAugment. The geometric ones are merged into the image's single warp.
COLOUR = ("auto_contrast", "equalize", "solarize", "posterize", "colour", "contrast", "brightness", "sharpness")
GEOMETRY = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = (*COLOUR, *GEOMETRY, "identity")
# Their strength at magnitude 1 (Cubuk et al., 2019, "AutoAugment", table 6).
ROTATE_DEGREES, SHEAR_TANGENT, TRANSLATE_SHARE, POSTERIZE_BITS, BLEND = 30.0, 0.3, 0.45, 4.0, 0.9


class Augmentation:
    """The random changes that a configuration makes to training images; built once per run.

    Ranges, each drawn uniformly for each image: rotation in [-rotation, rotation] degrees, shift in [-shift, shift] of
    the width and of the height, horizontal shear in [-shear, shear], zoom of the width and of the height in
    [1 - zoom, 1 + zoom]. They are those of Keras' ImageDataGenerator except shear: there 0.2 meant 0.2 degrees, which
    nobody can see; here it is the tangent of the angle (0.2 is 11 degrees).

    Args:
        config: the resolved group `augmentation`.

    Raises:
        HeadstartError: when a value is out of its range.
    """

    def __init__(self, config: AugmentationConfig) -> None:
        check_values(config, "augmentation.")
        self.config = config
        amounts = (config.rotation, config.shift, config.shear, config.zoom, config.randaugment)
        self.changes_images = config.flip or any(amounts)
        self.mixes = config.mixup > 0 or config.cutmix > 0

    def images(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Return every image with the changes that its seed decides.

        Args:
            images: float32 (batch, height, width, 3), 0 to 255.
            seeds: int32 (batch, 2).
        """
        import tensorflow as tf

        if not self.changes_images:
            return images
        height, width = tf.shape(images)[1], tf.shape(images)[2]
        # Drawn image by image: if vectorised, the last bits would depend on the position in the batch.
        transforms, operations, signs = tf.map_fn(
            lambda seed: self._plan(seed, height, width),
            seeds,
            fn_output_signature=(
                tf.TensorSpec([8], tf.float32),
                tf.TensorSpec([2], tf.int32),
                tf.TensorSpec([2], tf.float32),
            ),
        )
        changed = warp(images, transforms, self.config.fill)
        if self.config.randaugment:
            changed = tf.map_fn(
                lambda plan: self._recolour(*plan),
                (changed, operations, signs),
                fn_output_signature=tf.TensorSpec(images.shape[1:], tf.float32),
            )
        return tf.clip_by_value(changed, 0.0, 255.0)

    def mix(self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return every image mixed with its neighbour in the batch, and the labels in the same shares.

        Mixup (Zhang et al., 2018) blends two images; cutmix (Yun et al., 2019) pastes a box of one into the other. With
        both configured, each image gets one of them with equal chance.

        Args:
            images: float32 (batch, height, width, 3), shuffled, as neighbours become partners.
            labels: float (batch, classes), one-hot or any distribution.
            seed: int32 (2,).
        """
        import tensorflow as tf

        if not self.mixes:
            return images, labels
        batch, height, width = (tf.shape(images)[axis] for axis in range(3))
        mixup_seed, cutmix_seed, box_seed, choice_seed = tf.unstack(tf.random.split(seed, 4))
        share = beta(batch, self.config.mixup, mixup_seed) if self.config.mixup else tf.ones([batch])
        kept = tf.broadcast_to(share[:, None, None], [batch, height, width])
        if self.config.cutmix:
            outside = outside_box(1 - beta(batch, self.config.cutmix, cutmix_seed), height, width, box_seed)
            cuts = tf.random.stateless_uniform([batch], choice_seed) < (0.5 if self.config.mixup else 1.0)
            kept = tf.where(cuts[:, None, None], outside, kept)
        # The label's share is the share of the pixels, also if the border cuts off a part of the box.
        share = tf.reduce_mean(kept, axis=(1, 2))[:, None]
        kept = kept[..., None]
        labels = tf.cast(labels, tf.float32)
        mixed_images = kept * images + (1 - kept) * tf.roll(images, 1, axis=0)
        mixed_labels = share * labels + (1 - share) * tf.roll(labels, 1, axis=0)
        return mixed_images, mixed_labels

    def _plan(self, seed: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return one image's projective transform, its two RandAugment operations and their signs."""
        import tensorflow as tf

        config = self.config
        numbers = tf.random.stateless_uniform([len(DRAWS)], seed)
        draw = dict(zip(DRAWS, tf.unstack(numbers), strict=True))
        signed = {name: 2 * number - 1 for name, number in draw.items()}
        sides = tf.cast(width, tf.float32), tf.cast(height, tf.float32)
        matrix = affine(
            rotation=config.rotation * signed["rotation"],
            shift=(config.shift * signed["shift_x"] * sides[0], config.shift * signed["shift_y"] * sides[1]),
            shear=(config.shear * signed["shear"], 0.0),
            zoom=(1 + config.zoom * signed["zoom_x"], 1 + config.zoom * signed["zoom_y"]),
            flip=(draw["flip"] < 0.5) if config.flip else False,
        )
        operations = tf.stack([draw["operation_1"], draw["operation_2"]]) * len(OPERATIONS)
        operations = tf.cast(operations, tf.int32)
        signs = tf.where(tf.stack([draw["sign_1"], draw["sign_2"]]) < 0.5, -1.0, 1.0)
        if config.randaugment:
            for step in range(2):
                matrix @= operation_geometry(operations[step], config.randaugment * signs[step], *sides)
        return projective(matrix, height, width), operations, signs

    def _recolour(self, image: tf.Tensor, operations: tf.Tensor, signs: tf.Tensor) -> tf.Tensor:
        """Apply the colour operations among the two of an image."""
        import tensorflow as tf

        return tf.foldl(
            lambda image, step: operation_colour(image, step[0], self.config.randaugment, step[1]),
            (operations, signs),
            initializer=image,
        )


def operation_geometry(operation: tf.Tensor, strength: tf.Tensor, width: tf.Tensor, height: tf.Tensor) -> tf.Tensor:
    """Return the (3, 3) map of a RandAugment operation; the identity if it only changes colours.

    Args:
        operation: index into `OPERATIONS`.
        strength: magnitude with its sign, -1 to 1.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    import tensorflow as tf

    def where(name: str, value: tf.Tensor) -> tf.Tensor:
        return tf.where(operation == OPERATIONS.index(name), value, 0.0)

    shift, shear = TRANSLATE_SHARE * strength, SHEAR_TANGENT * strength
    return affine(
        rotation=where("rotate", ROTATE_DEGREES * strength),
        shift=(where("translate_x", shift * width), where("translate_y", shift * height)),
        shear=(where("shear_x", shear), where("shear_y", shear)),
    )


def operation_colour(image: tf.Tensor, operation: tf.Tensor, magnitude: float, sign: tf.Tensor) -> tf.Tensor:
    """Apply a RandAugment operation (Cubuk et al., 2020) to an image; a geometric one leaves it unchanged.

    Args:
        image: float32 (height, width, 3), 0 to 255.
        operation: index into `OPERATIONS`.
        magnitude: 0 to 1; 1 is the strongest of AutoAugment.
        sign: 1 or -1: more or less colour, contrast, brightness or sharpness.
    """
    import tensorflow as tf

    def blend(other: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(other + (1 + sign * BLEND * magnitude) * (image - other), 0.0, 255.0)

    step = 2.0 ** round(POSTERIZE_BITS * magnitude)
    threshold = 256 * (1 - magnitude)
    changes = {
        "auto_contrast": lambda: auto_contrast(image),
        "equalize": lambda: equalize(image),
        "solarize": lambda: tf.where(image < threshold, image, 255 - image),
        "posterize": lambda: tf.floor(image / step) * step,
        "colour": lambda: blend(tf.image.rgb_to_grayscale(image)),
        # Rounded: the last bits of a sum over many pixels may depend on the number of threads.
        "contrast": lambda: blend(tf.round(tf.reduce_mean(tf.image.rgb_to_grayscale(image)))),
        "brightness": lambda: blend(tf.zeros([])),
        "sharpness": lambda: blend(smooth(image)),
    }
    return tf.switch_case(operation, [changes[name] for name in COLOUR], default=lambda: image)


def auto_contrast(image: tf.Tensor) -> tf.Tensor:
    """Stretch each channel of a (height, width, 3) image to 0 to 255; a channel with a single value stays."""
    import tensorflow as tf

    low, high = tf.reduce_min(image, axis=(0, 1)), tf.reduce_max(image, axis=(0, 1))
    return tf.where(high > low, tf.math.divide_no_nan((image - low) * 255, high - low), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Flatten the histogram of each channel of a (height, width, 3) image, as `PIL.ImageOps.equalize` does."""
    import tensorflow as tf

    values = tf.cast(tf.round(tf.transpose(tf.reshape(image, [-1, 3]))), tf.int32)
    histogram = tf.math.bincount(values, minlength=256, maxlength=256, axis=-1)
    brightest = tf.reduce_max(values, axis=-1, keepdims=True)
    step = (tf.shape(values)[1] - tf.gather(histogram, brightest, batch_dims=1)) // 255
    # A channel with fewer pixels than values, or with a single value, has no steps to spread.
    spread = (tf.cumsum(histogram, axis=-1, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(spread, 255), tf.range(256))
    equal = tf.gather(table, values, batch_dims=1)
    return tf.reshape(tf.cast(tf.transpose(equal), tf.float32), tf.shape(image))


def smooth(image: tf.Tensor) -> tf.Tensor:
    """Return a (height, width, 3) image after PIL's smoothing filter: 3 x 3, with weight 5 in the middle."""
    import tensorflow as tf

    weights = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13
    filters = tf.tile(weights[:, :, None, None], [1, 1, 3, 1])
    framed = tf.pad(image, [[1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
    return tf.nn.depthwise_conv2d(framed[None], filters, strides=[1, 1, 1, 1], padding="VALID")[0]


def beta(batch: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Return (batch,) numbers from the Beta(alpha, alpha) distribution, computed from two Gamma variables."""
    import tensorflow as tf

    # float64: in float32 a small alpha makes both underflow.
    gammas = tf.random.stateless_gamma([2, batch], seed, alpha=tf.constant(alpha, tf.float64), dtype=tf.float64)
    return tf.cast(gammas[0] / (gammas[0] + gammas[1]), tf.float32)


def outside_box(area: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return (batch, height, width) masks: 0 in a box of the image's proportions at a random place, else 1.

    Args:
        area: (batch,) share of the image that the box would cover if none of it lay beyond the border.
        height: of the images, pixels.
        width: of the images, pixels.
        seed: int32 (2,).
    """
    import tensorflow as tf

    centers = tf.random.stateless_uniform([2, tf.shape(area)[0]], seed)

    def covered(center: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
        pixels = tf.cast(side, tf.float32)
        distance = tf.abs(tf.range(pixels)[None] - tf.floor(center * pixels)[:, None])
        return distance < tf.sqrt(area)[:, None] * pixels / 2

    box = covered(centers[0], height)[:, :, None] & covered(centers[1], width)[:, None, :]
    return tf.where(box, 0.0, 1.0)
