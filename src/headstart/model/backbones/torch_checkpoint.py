"""Reads PyTorch checkpoints without PyTorch and without executing code from them.

A `.pth` file is a pickle, and unpickling can execute any code. This reader allows only the names that a dictionary of
tensors needs, and refuses all others before they are called. It reads both containers: the legacy one (pickles followed
by raw storages) and the zip archive of PyTorch 1.6 and later.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from headstart.core.errors import HeadstartError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_SHARING = 4  # tensors per stored value; layers that share weights need more than one
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class Storage(NamedTuple):
    """A flat array of values that tensors are views of."""

    key: str
    dtype: str
    size: int


class Tensor(NamedTuple):
    """A strided view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors from a PyTorch checkpoint without executing code from it.

    Args:
        path: a `.pth` file as `torch.save(model.state_dict(), path)` writes it.

    Returns:
        Names and arrays, in the order of the file.

    Raises:
        HeadstartError: when the file is not such a checkpoint, is damaged, or contains anything but tensors.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            tensors, storages = _read_archive(path)
        else:
            with path.open("rb") as file:
                tensors, storages = _read_legacy(file)
        for tensor in tensors.values():
            _expect_inside(tensor, storages[tensor.storage.key])
        _expect_no_more_than_stored(tensors, storages)
        return {name: _view(tensor, storages) for name, tensor in tensors.items()}
    except HeadstartError as error:
        raise HeadstartError(f"{error} (in {path})") from None
    # Exceptions of pickle, zipfile and numpy on damaged files.
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        OSError,
        EOFError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        NotImplementedError,
        AssertionError,
        TypeError,
        struct.error,
        ValueError,
    ) as error:
        raise HeadstartError(f"Expected a PyTorch checkpoint in {path}. Received: a damaged file ({error})") from error


class _Unpickler(pickle._Unpickler):
    """An unpickler that can create tensors and nothing else.

    Based on Python's pure implementation, because the one in C allocates any amount of memory that a pickle of ten
    bytes requests.
    """

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch" and name in STORAGES:
            return name
        raise HeadstartError(
            f"Expected a checkpoint that holds only tensors. Received: a pickle that imports {module}.{name}"
        )

    def persistent_load(self, saved: object) -> Storage:
        match saved:
            case ("storage", str(kind), str(key), str(), int(size)) | (
                "storage",
                str(kind),
                str(key),
                str(),
                int(size),
                None,
            ) if kind in STORAGES:
                return Storage(key, STORAGES[kind], size)
        raise HeadstartError(f"Expected a checkpoint that holds only tensors. Received: a reference to {saved}")

    def _rebuild_tensor(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_unused: object
    ) -> Tensor:
        return Tensor(storage, offset, shape, strides)


def _read_legacy(file: BinaryIO) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    if _Unpickler(file).load() != LEGACY_MAGIC or _Unpickler(file).load() != LEGACY_PROTOCOL:
        raise HeadstartError("Expected a PyTorch checkpoint. Received: a file with other first bytes")
    _Unpickler(file).load()  # byte order and type sizes of the writer; today's machines are all little-endian
    tensors = _expect_tensors(_Unpickler(file).load())
    expected = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in _Unpickler(file).load():
        size = int.from_bytes(file.read(8), "little")
        if key not in expected or size != expected[key].size:
            raise HeadstartError(f"Expected only storages that a tensor uses. Received: storage {key} of {size} values")
        dtype = np.dtype(expected[key].dtype)
        storages[key] = np.frombuffer(file.read(size * dtype.itemsize), dtype)
    return tensors, storages


def _read_archive(path: Path) -> tuple[dict[str, Tensor], dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise HeadstartError("Expected a PyTorch checkpoint. Received: a zip archive without one data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        _expect_stored(archive.getinfo(pickles[0]))
        with archive.open(pickles[0]) as file:
            tensors = _expect_tensors(_Unpickler(file).load())
        storages = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            member = archive.getinfo(f"{folder}data/{storage.key}")
            _expect_stored(member)
            storages[storage.key] = np.frombuffer(archive.read(member), storage.dtype)
    return tensors, storages


def _expect_stored(member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:  # PyTorch never compresses, but a zip bomb does
        raise HeadstartError(f"Expected uncompressed tensors. Received: {member.filename}, which is compressed")


def _expect_no_more_than_stored(tensors: dict[str, Tensor], storages: dict[str, np.ndarray]) -> None:
    """Raise if many tensors share the same values, which would multiply them in memory."""
    expanded = sum(math.prod(tensor.shape) for tensor in tensors.values())
    stored = sum(len(values) for values in storages.values())
    if expanded > MAX_SHARING * stored:
        raise HeadstartError(f"Expected tensors of about {stored:,} values. Received: tensors of {expanded:,}")


def _expect_tensors(content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict) or not content:
        raise HeadstartError(f"Expected a dictionary of tensors. Received: {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise HeadstartError(f"Expected a dictionary of tensors. Received: {name} -> {type(value).__name__}")
    return content


def _expect_inside(tensor: Tensor, values: np.ndarray) -> None:
    """Raise if a tensor exceeds its storage."""
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    if (
        len(values) != tensor.storage.size
        or min((tensor.offset, *tensor.shape, *tensor.strides)) < 0
        or last >= len(values)
        or math.prod(tensor.shape) > len(values)
    ):
        raise HeadstartError(
            f"Expected a tensor of shape {tensor.shape} inside its storage of {len(values)} values. Received: one "
            "outside"
        )


def _view(tensor: Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Copy a tensor out of its storage, within whose bounds it must be."""
    values = storages[tensor.storage.key]
    steps = [step * values.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, steps).copy()
