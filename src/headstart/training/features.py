"""Activations at the freeze boundary: computed once, kept on disk by content, read by memory map.

An entry is one NumPy file, a row for each image. Its name is a digest of everything that decides its numbers, so that
whatever needs the same ones (another epoch, another stage, another job) finds them, and nothing else does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from rich.filesize import decimal

from headstart.console import console, track
from headstart.data.index import ImageIndex
from headstart.data.pipeline import batches, evaluation_batches
from headstart.data.verdicts import READER
from headstart.model.boundary import Boundary

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32  # images at once through the frozen part; no gradients are kept, so that memory is no question
SPARE = 0.1  # share of the free disk that is left to everything else


@dataclass
class ActivationStore:
    """The activations that earlier stages and runs computed, within a bound on the disk."""

    directory: Path
    max_bytes: float
    computed: int = 0  # images that went through a frozen part in this run
    reused: int = 0  # images whose activations were there already

    def objection(self, boundary: Boundary, indexes: list[ImageIndex]) -> str | None:
        """Return why the activations of these images cannot be kept, or None when they can.

        Args:
            boundary: the cut.
            indexes: the images.
        """
        needed = sum(len(index) for index in indexes) * bytes_per_image(boundary)
        if needed > self.max_bytes:
            return f"{decimal(needed)} of activations are more than cache.max_gb allows"
        self.directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.directory).free * (1 - SPARE)
        present = sum(size for _, size in self._entries())
        if needed > free + present:
            return f"{decimal(needed)} of activations do not fit on the disk of {self.directory}"
        return None

    def activations(
        self, boundary: Boundary, index: ImageIndex, image_size: int, resize: str, split: str
    ) -> np.ndarray:
        """Return the activations of every image, a memory map of shape (n, ...), in the index's order.

        Args:
            boundary: the cut; its prefix is run where an entry is missing.
            index: the images, with their digests.
            image_size: side in pixels.
            resize: `stretch`, `crop` or `pad`.
            split: its name, for the progress bar.

        Raises:
            HeadstartError: when an image cannot be read.
        """
        file = self.directory / f"{_key(boundary, index, image_size, resize)}.npy"
        stored = self._stored(file)
        if stored is not None:
            self.reused += len(index)
            return stored
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_room(len(index) * bytes_per_image(boundary))
        partial = file.with_name(f".{file.name}-{uuid4().hex}.partial")
        try:
            shape = (len(index), *boundary.prefix.output.shape[1:])
            rows = np.lib.format.open_memmap(partial, mode="w+", dtype=storage_type(boundary), shape=shape)
            compute_activations(boundary, index, image_size, resize, split, rows)
            rows.flush()
            del rows
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        self.computed += len(index)
        return np.load(file, mmap_mode="r")

    def _stored(self, file: Path) -> np.ndarray | None:
        """Return an entry as a memory map; None where there is none, or where another process has just removed it."""
        try:
            os.utime(file)  # the least recently used entry is the first to go
            return np.load(file, mmap_mode="r")
        except FileNotFoundError:
            return None

    def _entries(self) -> list[tuple[Path, int]]:
        """Return the files of the store and their sizes, the least recently used first."""
        found = []
        for file in self.directory.glob("*.npy"):
            with contextlib.suppress(FileNotFoundError):  # removed by another process since it was listed
                status = file.stat()
                found.append((status.st_mtime_ns, file, status.st_size))
        return [(file, size) for _, file, size in sorted(found)]

    def _make_room(self, needed: int) -> None:
        """Delete the least recently used entries until the next one fits; a process that reads one keeps its map."""
        entries = self._entries()
        kept = sum(size for _, size in entries)
        for file, size in entries:
            free = shutil.disk_usage(self.directory).free * (1 - SPARE)
            if kept + needed <= self.max_bytes and needed <= free:
                return
            kept -= size
            file.unlink(missing_ok=True)
            console.print(f"  cache: removed {file.name[:16]}, the least recently used, to make room")


def compute_activations(
    boundary: Boundary, index: ImageIndex, image_size: int, resize: str, split: str, rows: np.ndarray
) -> None:
    """Run every image through the frozen part once.

    Args:
        boundary: the cut.
        index: the images.
        image_size: side in pixels.
        resize: `stretch`, `crop` or `pad`.
        split: its name, for the progress bar.
        rows: gets the activations, (n, ...).

    Raises:
        HeadstartError: when an image cannot be read.
    """
    import tensorflow as tf

    prefix = boundary.prefix
    forward = tf.function(
        lambda images: prefix(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec((None, image_size, image_size, 3), tf.uint8)],
    )
    steps = -(-len(index) // BATCH_SIZE)
    decoded = batches(index, evaluation_batches(index, BATCH_SIZE), image_size, resize)
    what = f"computing once what is frozen up to {boundary.cut}: {split}"
    for images, _, positions in track(decoded, steps, what):
        rows[positions] = forward(images).numpy().astype(rows.dtype)


def bytes_per_image(boundary: Boundary) -> int:
    """Return how much of the disk the activations of one image take."""
    return int(np.prod(boundary.prefix.output.shape[1:])) * storage_type(boundary).itemsize


def storage_type(boundary: Boundary) -> np.dtype:
    """Return the type in which activations are kept: that of the network, float32 where NumPy does not have it."""
    return np.dtype("float16" if boundary.prefix.output.dtype == "float16" else "float32")


def _key(boundary: Boundary, index: ImageIndex, image_size: int, resize: str) -> str:
    """Return a digest of what decides the activations: frozen part, images in their order, and how they are read."""
    what = {
        "cut": boundary.cut,
        "prefix": _fingerprint(boundary.prefix),
        # What is no layer: the preprocessing of some backbones swaps red and blue by a plain operation.
        "operations": [type(operation).__name__ for operation in boundary.prefix.operations],
        "type": str(storage_type(boundary)),
        "images": index.digests,
        "image_size": image_size,
        "resize": resize,
        "reader": READER,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _fingerprint(model: keras.Model) -> str:
    """Return a digest of a model's layers and weights, whatever automatic names they got."""
    import keras

    digest = hashlib.sha256()
    for layer in model._flatten_layers(recursive=True, include_self=False):
        if not isinstance(layer, keras.Model):
            settings = {key: value for key, value in layer.get_config().items() if key not in ("name", "trainable")}
            digest.update(f"{type(layer).__name__} {sorted(settings.items())!r}".encode())
    for weight in model.weights:
        digest.update(f"{weight.shape} {weight.dtype}".encode() + weight.numpy().tobytes())
    return digest.hexdigest()
