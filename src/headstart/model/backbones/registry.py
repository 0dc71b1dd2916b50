"""The backbones by name: their entries, and how they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.config.suggestions import unknown_option
from headstart.core.errors import HeadstartError
from headstart.model.backbones.efficientnet_lite import build_efficientnet_lite
from headstart.model.backbones.entries import BACKBONES
from headstart.model.backbones.keras_applications import build_application
from headstart.model.backbones.small_cnn import build_small_cnn
from headstart.model.backbones.spec import BackboneEntry
from headstart.model.backbones.weights import check_weights, load_weights

if TYPE_CHECKING:
    import keras


def get_entry(name: str) -> BackboneEntry:
    """Return the entry of a backbone.

    Args:
        name: one of BACKBONES.

    Raises:
        HeadstartError: when there is none; the tip is the closest name.
    """
    if name not in BACKBONES:
        raise unknown_option("backbone", name, list(BACKBONES))
    return BACKBONES[name]


def packaged_backbones() -> list[str]:
    """Return the backbones whose weights come with the installation."""
    return [name for name, entry in BACKBONES.items() if entry.package]


def check_image_size(entry: BackboneEntry, image_size: int) -> None:
    """Raise when images are too small for a backbone.

    Args:
        entry: the backbone's entry.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: naming the smallest size.
    """
    if image_size < entry.minimum_size:
        raise HeadstartError(
            f"Expected image_size to be at least {entry.minimum_size} for {entry.name}. Received: {image_size}"
        )


def build_backbone(name: str, weights: str, image_size: int) -> keras.Model:
    """Build a backbone without classifier and pooling, and load its weights.

    With the classifier is in `headstart.model.include_top`.

    Args:
        name: one of BACKBONES.
        weights: `imagenet`, `packaged`, `none` (random) or the path of a file, see `load_weights`.
        image_size: side of the square input in pixels.

    Returns:
        A functional model named "backbone", from preprocessed images (batch, image_size, image_size, 3), see
        `preprocess`, to feature maps (batch, height, width, channels).

    Raises:
        HeadstartError: when the name, the weights or the size are not valid for this backbone.
    """
    import keras

    entry = get_entry(name)
    check_image_size(entry, image_size)
    check_weights(entry, weights)
    if name == "small_cnn":
        model = build_small_cnn(image_size)
    elif entry.package:
        model = build_efficientnet_lite(name, image_size)
    else:
        model = build_application(entry, weights == "imagenet", image_size)
    backbone = keras.Model(model.inputs[0], model.outputs[0], name="backbone")
    if weights not in ("imagenet", "none"):
        load_weights(backbone, entry, weights)
    return backbone
