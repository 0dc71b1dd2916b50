"""Builds models of keras.applications, and explains failed downloads of their weights."""

from __future__ import annotations

import os
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.model.preprocessing import IMAGENET_DEVIATION

if TYPE_CHECKING:
    import keras

    from headstart.model.backbones.spec import BackboneEntry

NETWORK_TIMEOUT = 20.0  # seconds without an answer; sockets wait forever by default


def build_application(entry: BackboneEntry, imagenet: bool, image_size: int, with_top: bool = False) -> keras.Model:
    """Build a model of keras.applications.

    Args:
        entry: the backbone's entry.
        imagenet: load the ImageNet weights, from the Keras cache or by download; otherwise the weights are random.
        image_size: side of the square input in pixels.
        with_top: include the classifier with ImageNet's 1000 classes; otherwise also omit pooling.

    Returns:
        A functional model from images (batch, image_size, image_size, 3) to feature maps, or to class probabilities.
        Its graph is the same with and without ImageNet weights, so that weights from a file give the same outputs as
        downloaded ones.

    Raises:
        HeadstartError: when the weights are not in the cache and cannot be downloaded.
    """
    import keras

    constructor = getattr(keras.applications, entry.constructor)
    # With the classifier, Keras loads ImageNet weights only at the image size of their training.
    size = _published_size(entry, image_size) if imagenet and with_top else image_size
    shape = (size, size, 3)
    if not imagenet:
        model = constructor(include_top=with_top, weights=None, input_shape=shape)
        return _with_imagenet_rescaling(model) if entry.constructor.startswith("EfficientNetB") else model
    with _explained_download(entry, image_size, with_top):
        model = constructor(include_top=with_top, weights="imagenet", input_shape=shape)
    if size == image_size:
        return model
    resized = build_application(entry, False, image_size, with_top)
    resized.set_weights(model.get_weights())
    return resized


def imagenet_file(entry: BackboneEntry, image_size: int, with_top: bool = False) -> Path:
    """Return the path at which Keras caches the ImageNet weights of a backbone.

    Args:
        entry: the backbone's entry.
        image_size: side of the input in pixels; MobileNet and MobileNetV2 have separate files for some sizes.
        with_top: the file with the classifier.
    """
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    name = entry.imagenet_file.format(size=_published_size(entry, image_size))
    if with_top:
        name = re.sub(r"_no_?top(_v2)?\.h5$", ".h5", name)
    return Path(home).expanduser() / "models" / name


def _published_size(entry: BackboneEntry, image_size: int) -> int:
    """Return the image size at which the ImageNet weights for images of this size were trained."""
    return image_size if image_size in entry.imagenet_sizes else entry.image_size


def _with_imagenet_rescaling(model: keras.Model) -> keras.Model:
    """Add the rescaling layer that Keras adds to EfficientNet only when it loads the ImageNet weights itself.

    These weights expect channels divided once more by the square root of their standard deviation; see
    https://github.com/tensorflow/tensorflow/issues/49930 and keras/src/applications/efficientnet.py.
    """
    import keras

    def call(layer: keras.layers.Layer, *args: object, **kwargs: object) -> object:
        outputs = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Normalization):
            outputs = keras.layers.Rescaling([deviation**-0.5 for deviation in IMAGENET_DEVIATION])(outputs)
        return outputs

    return keras.models.clone_model(model, call_function=call)


@contextmanager
def _explained_download(entry: BackboneEntry, image_size: int, with_top: bool) -> Iterator[None]:
    """Replace Keras's output and errors while it downloads weights."""
    import keras

    file = imagenet_file(entry, image_size, with_top)
    source = f"from {file}" if file.exists() else f"by download, once, to {file.parent}"
    was_logging = keras.config.is_interactive_logging_enabled()
    timeout = socket.getdefaulttimeout()
    keras.config.disable_interactive_logging()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        with warnings.catch_warnings(), console.status(f"ImageNet weights of {entry.name} {source}"):
            # MobileNets warn that they use weights of 224 pixels for another size, which is intended here.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            yield
    except Exception as error:
        # keras.utils.get_file raises a plain Exception without a network, and ValueError for a wrong checksum.
        if type(error) is not Exception and not isinstance(error, OSError | ValueError):
            raise
        reason = " ".join(str(error).split())
        raise HeadstartError(
            f"Expected the ImageNet weights of {entry.name} in {file}, or a network to download them. "
            f"Received: {reason}",
            f"put {file.name} into {file.parent}, or choose backbone=efficientnet_lite0 (its weights are packaged), "
            "backbone.weights=none or backbone.weights=/path/to/file",
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
        if was_logging:
            keras.config.enable_interactive_logging()
