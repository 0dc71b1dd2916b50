"""Saved models and weights are looked through before Keras reads them: nothing but layers that hold no code.

Keras' safe mode refuses lambdas, but its lists of what else is dangerous had to grow more than once. This list is the
other way round: the classes that headstart's own models consist of, and what people put on a backbone.
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
LARGEST_DESCRIPTION = 50_000_000  # bytes of config.json; that of the deepest network here has under one million
LARGEST_EXPANSION = 1000  # of numbers in an HDF5 file; Keras' own files do not compress them at all

KINDS = "biufV"  # of numbers; V is what bfloat16 is kept as

OPERATIONS = ("Add", "Flip", "Multiply")
CLASSES: dict[str | None, frozenset[str]] = {
    # Numbers, not classes.
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
    """Raise unless a `.keras` file consists of known layers and their numbers alone.

    Args:
        file: a zip archive as Keras writes it.

    Raises:
        ValueError: naming the first class or member that is none of them.
        OSError, zipfile.BadZipFile: when it cannot be read.
    """
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if set(names) != MEMBERS or len(names) != len(MEMBERS):
            others = [name for name in names if name not in MEMBERS]
            said = f"{others[0]} in it" if others else f"{', '.join(sorted(names))} in it"
            raise ValueError(f"{file.name} is no model that holds {', '.join(sorted(MEMBERS))} alone: {said}")
        for name in ("metadata.json", "config.json"):
            if archive.getinfo(name).file_size > LARGEST_DESCRIPTION:
                raise ValueError(f"{name} in {file.name} has {archive.getinfo(name).file_size:,} bytes")
        weights = archive.getinfo("model.weights.h5")
        if weights.compress_type != zipfile.ZIP_STORED:  # Keras never compresses them; a bomb does
            raise ValueError(f"model.weights.h5 in {file.name} is compressed")
        description, numbers = archive.read("config.json"), io.BytesIO(archive.read(weights))
    try:
        described = json.loads(description)
        if not isinstance(described, dict):
            raise ValueError(f"config.json in {file.name} describes no model")
        described.pop("compile_config", None)  # how it was trained is never loaded
        for found in _described_objects(described):
            _expect_known(found, file)
    except RecursionError as error:
        raise ValueError(f"config.json in {file.name} is nested too deeply") from error
    _expect_plain_numbers(numbers, weights.file_size, file)


def expect_plain_numbers(file: Path) -> None:
    """Raise unless an HDF5 file holds all of its numbers itself.

    A link or a dataset of it may stand for another file on this machine, and a few bytes for any amount of zeros.

    Args:
        file: weights as Keras writes them.

    Raises:
        ValueError: naming the part that does not.
        OSError: when it cannot be read.
    """
    _expect_plain_numbers(file, file.stat().st_size, file)


def _expect_plain_numbers(opened_or_path: io.BytesIO | Path, size: int, file: Path) -> None:
    """Look through HDF5 content of a size, which is a file or lies in one."""
    import h5py

    with h5py.File(opened_or_path, "r") as opened:
        waiting: list[tuple[str, h5py.Group]] = [("", opened)]
        seen = set()
        declared = 0
        while waiting:
            place, group = waiting.pop()
            if group.id in seen:
                raise ValueError(f"the group {place} in {file.name} holds itself")
            seen.add(group.id)
            for name in group:
                path = f"{place}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{path} in {file.name} is a link, not numbers")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append((path, item))
                    continue
                if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                    raise ValueError(f"the numbers of {path} in {file.name} are not in this file")
                if item.dtype.kind not in KINDS:
                    raise ValueError(f"{path} in {file.name} holds no numbers")
                declared += item.nbytes
        if declared > LARGEST_EXPANSION * size:
            raise ValueError(f"{file.name} claims {declared:,} bytes of numbers, and has {size:,}")


def _described_objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield everything in a description that names a class or a function, outermost first."""
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
        asked = ".".join(str(part) for part in (module, name) if part is not None)
        registered = described.get("registered_name")
        if known or registered not in (None, name):
            asked += f" (registered as {registered})"
        raise ValueError(f"{file.name} asks for {asked[:200]}, which is no layer that headstart trusts")
