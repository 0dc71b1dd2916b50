"""Checks saved models and weights before Keras loads them: only known layers without code are allowed.

Keras's safe mode refuses lambdas and a list of other dangerous classes, which had to grow more than once. This module
instead lists what is allowed: the classes in headstart's own models, and common layers on top of a backbone.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
MAX_DESCRIPTION = 50_000_000  # bytes of config.json; the deepest backbone's has under one million
MAX_EXPANSION = 1000  # of the values in an HDF5 file; Keras does not compress them at all

NUMBER_KINDS = "biufV"  # NumPy kinds of dtypes; V stores bfloat16

OPERATIONS = ("Add", "Flip", "Multiply")
CLASSES: dict[str | None, frozenset[str]] = {
    # Values rather than classes.
    None: frozenset({"__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__ellipsis__"}),
    "keras": frozenset({"DTypePolicy", "Functional", "Model", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.layers": frozenset(
        {
            *("InputLayer", "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"),
            *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
            *("BatchNormalization", "LayerNormalization", "GroupNormalization", "Normalization", "Rescaling"),
            *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
            *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"),
            *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
            *("Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Identity"),
            *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
            *("Resizing", "CenterCrop"),
        }
    ),
    "keras.src.applications.convnext": frozenset({"LayerScale"}),
    "keras.src.applications.inception_resnet_v2": frozenset({"CustomScaleLayer"}),
    **{f"keras.{place}": frozenset(OPERATIONS) for place in ("ops", "src.ops.numpy")},
    "keras.initializers": frozenset(
        {
            *("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"),
            *(
                "VarianceScaling",
                "RandomUniform",
                "RandomNormal",
                "TruncatedNormal",
                "Orthogonal",
                "OrthogonalInitializer",
            ),
            *("Zeros", "Ones", "Constant"),
        }
    ),
    "keras.regularizers": frozenset({"L1", "L2", "L1L2"}),
    "keras.constraints": frozenset({"MaxNorm", "NonNeg", "UnitNorm"}),
}


def expect_trusted_model(file: Path) -> None:
    """Raise unless a `.keras` file contains only known layers and their weights.

    Args:
        file: a zip archive as Keras writes it.

    Raises:
        ValueError: naming the first unknown class or member.
        OSError, zipfile.BadZipFile: when the file cannot be read.
    """
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if set(names) != MEMBERS or len(names) != len(MEMBERS):
            others = [name for name in names if name not in MEMBERS]
            received = others[0] if others else ", ".join(sorted(names))
            raise ValueError(f"{file.name} must contain exactly {', '.join(sorted(MEMBERS))}, but contains {received}")
        for name in ("metadata.json", "config.json"):
            if archive.getinfo(name).file_size > MAX_DESCRIPTION:
                raise ValueError(f"{name} in {file.name} has {archive.getinfo(name).file_size:,} bytes")
        weights = archive.getinfo("model.weights.h5")
        if weights.compress_type != zipfile.ZIP_STORED:  # Keras never compresses weights, but a zip bomb does
            raise ValueError(f"model.weights.h5 in {file.name} is compressed")
        description, numbers = archive.read("config.json"), io.BytesIO(archive.read(weights))
    try:
        described = json.loads(description)
        if not isinstance(described, dict):
            raise ValueError(f"config.json in {file.name} does not describe a model")
        described.pop("compile_config", None)  # headstart never loads how a model was trained
        for item in _described_objects(described):
            _expect_known(item, file)
    except RecursionError as error:
        raise ValueError(f"config.json in {file.name} is nested too deeply") from error
    _expect_plain_numbers(numbers, weights.file_size, file)


def expect_plain_numbers(file: Path) -> None:
    """Raise unless an HDF5 file itself contains all its values.

    Links and datasets can refer to other files of this machine, and a few bytes can stand for any number of zeros.

    Args:
        file: weights as Keras writes them.

    Raises:
        ValueError: naming the group or dataset that is not allowed.
        OSError: when the file cannot be read.
    """
    _expect_plain_numbers(file, file.stat().st_size, file)


def _expect_plain_numbers(opened_or_path: io.BytesIO | Path, size: int, file: Path) -> None:
    """Check HDF5 content of `size` bytes, which is a file or part of one."""
    import h5py

    with h5py.File(opened_or_path, "r") as opened:
        pending: list[tuple[str, h5py.Group]] = [("", opened)]
        seen = set()
        declared = 0
        while pending:
            group_path, group = pending.pop()
            if group.id in seen:
                raise ValueError(f"the group {group_path} in {file.name} contains itself")
            seen.add(group.id)
            for name in group:
                path = f"{group_path}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{path} in {file.name} is a link, not numbers")
                item = group[name]
                if isinstance(item, h5py.Group):
                    pending.append((path, item))
                    continue
                if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                    raise ValueError(f"the numbers of {path} in {file.name} are not in this file")
                if item.dtype.kind not in NUMBER_KINDS:
                    raise ValueError(f"{path} in {file.name} does not contain numbers")
                declared += item.nbytes
        if declared > MAX_EXPANSION * size:
            raise ValueError(f"{file.name} declares {declared:,} bytes of numbers, but has only {size:,} bytes")


def _described_objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a description that name a class or a function, outermost first."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for inner in value.values():
            yield from _described_objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _described_objects(inner)


def _expect_known(described: dict[str, Any], file: Path) -> None:
    module, name = described.get("module"), described["class_name"]
    known = isinstance(name, str) and isinstance(module, str | None) and name in CLASSES.get(module, ())
    if not known or described.get("registered_name") not in (None, name):
        class_name = ".".join(str(part) for part in (module, name) if part is not None)
        registered = described.get("registered_name")
        if known or registered not in (None, name):
            class_name += f" (registered as {registered})"
        raise ValueError(f"{file.name} uses {class_name[:200]}, which is not a layer that headstart trusts")
