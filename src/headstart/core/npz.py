"""Writes NPZ files of which one array does not fit in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from headstart.core.files import atomic_file


def write_npz(
    file: Path,
    name: str,
    shape: tuple[int, ...],
    blocks: Iterable[np.ndarray],
    others: dict[str, np.ndarray],
) -> None:
    """Write an NPZ file that `numpy.load` reads without pickle, atomically; the same content gives the same bytes.

    Args:
        file: to write.
        name: of the array that comes in blocks.
        shape: of this array, float32.
        blocks: its rows, in order.
        others: the other arrays, by name.

    Raises:
        ValueError: when the blocks do not have as many rows as the shape.
        OSError: when the file cannot be written.
    """
    rows = 0
    with atomic_file(file) as opened, zipfile.ZipFile(opened, "w") as archive:
        with _member(archive, name) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(member, header)
            for block in blocks:
                member.write(np.ascontiguousarray(block, "<f4").tobytes())
                rows += len(block)
        if rows != shape[0]:
            raise ValueError(f"Expected {shape[0]} rows of {name}. Received: {rows}")
        for key, array in others.items():
            with _member(archive, key) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        yield member
