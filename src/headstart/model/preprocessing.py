"""From RGB pixels to what a backbone was trained on, inside the model.

Only stock Keras layers and operations, so that a saved classifier loads in safe mode with nothing but Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from headstart.core.errors import expect_one_of

if TYPE_CHECKING:
    import keras

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB values from 0 to 1
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class InputNormalization(NamedTuple):
    """A linear change of each channel: `scale * pixel + offset`, after reversing the channels if `bgr`."""

    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...]
    bgr: bool = False


INPUT_NORMALIZATIONS: dict[str, InputNormalization | None] = {
    # The means of ImageNet in blue, green, red: the models that were first trained in Caffe.
    "caffe": InputNormalization(1.0, (-103.939, -116.779, -123.68), bgr=True),
    "tf": InputNormalization(1 / 127.5, -1.0),
    "torch": InputNormalization(
        tuple(1 / (255 * deviation) for deviation in IMAGENET_DEVIATION),
        tuple(-mean / deviation for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)),
    ),
    "lite": InputNormalization(1 / 128, -127 / 128),
    "unit": InputNormalization(1 / 255, 0.0),
    # The backbone's own first layers do it: scaling twice is the classical way to chance accuracy.
    "in_graph": None,
}


def preprocess(contract: str, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Change pixels into what a backbone with this contract expects.

    Args:
        contract: one of CONTRACTS.
        pixels: float images (batch, height, width, 3), RGB from 0 to 255.

    Returns:
        Images of the same shape, computed in float32 even under mixed precision.

    Raises:
        HeadstartError: when the contract is unknown.
    """
    import keras

    expect_one_of("preprocessing", contract, list(INPUT_NORMALIZATIONS))
    values = INPUT_NORMALIZATIONS[contract]
    if values is None:
        return pixels
    if values.bgr:
        pixels = keras.ops.flip(pixels, axis=-1)
    return keras.layers.Rescaling(values.scale, values.offset, dtype="float32", name="preprocessing")(pixels)
