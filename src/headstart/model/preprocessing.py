"""Normalizes RGB pixels inside the model as the backbone's pretraining did.

It uses only Keras's own layers and operations, so that a saved classifier loads in safe mode with Keras alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from headstart.core.errors import expect_one_of

if TYPE_CHECKING:
    import keras

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB values from 0 to 1
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class InputNormalization(NamedTuple):
    """A linear function of each channel: `scale * pixel + offset`, after reversing the channels if `bgr`."""

    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...]
    bgr: bool = False


INPUT_NORMALIZATIONS: dict[str, InputNormalization | None] = {
    # ImageNet's means in the order blue, green, red, for models that were first trained in Caffe.
    "caffe": InputNormalization(1.0, (-103.939, -116.779, -123.68), bgr=True),
    "tf": InputNormalization(1 / 127.5, -1.0),
    "torch": InputNormalization(
        tuple(1 / (255 * deviation) for deviation in IMAGENET_DEVIATION),
        tuple(-mean / deviation for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)),
    ),
    "lite": InputNormalization(1 / 128, -127 / 128),
    "unit": InputNormalization(1 / 255, 0.0),
    # The backbone's first layers normalize; doing it twice would reduce the accuracy to chance.
    "in_graph": None,
}


def preprocess(name: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Normalize pixels for a backbone.

    Args:
        name: of the normalization, one of INPUT_NORMALIZATIONS.
        pixels: float images (batch, height, width, 3), RGB from 0 to 255.

    Returns:
        Images of the same shape, computed in float32 even under mixed precision.

    Raises:
        HeadstartError: when the normalization is unknown.
    """
    import keras

    expect_one_of("preprocessing", name, list(INPUT_NORMALIZATIONS))
    normalization = INPUT_NORMALIZATIONS[name]
    if normalization is None:
        return pixels
    if normalization.bgr:
        pixels = keras.ops.flip(pixels, axis=-1)
    scale, offset = normalization.scale, normalization.offset
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")(pixels)
