"""Activations at the freeze boundary: computed once, cached on disk by content, read when they are needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.filesize import decimal

from headstart.cache.store import Cache
from headstart.cache.table import Rows, Table
from headstart.config import Config
from headstart.core.console import console, track
from headstart.core.paths import cache_directory
from headstart.core.signals import TimeLimitReached
from headstart.data.augmentation import Augmentation
from headstart.data.files.check_cache import READER
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Pixels
from headstart.data.rows import InMemory
from headstart.features.boundary import EVERY_SPLIT_POINT, Boundary
from headstart.inference.backend import InferenceModel, forward, resolve_inference_backend
from headstart.results.sections import CacheUse

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32  # images at once through the frozen part; without gradients they need little memory
REPORTED_SECONDS = 5  # shorter computations have a progress bar alone


@dataclass(frozen=True)
class Views:
    """Fixed augmented versions of every image."""

    augmentation: Augmentation
    count: int  # per image


@dataclass
class ActivationCache:
    """The activations that frozen parts of networks give for images.

    Args:
        cache: where they are stored.
        pixels: reads the images.
        dtype: `float32` or `float16`, the type in which they are stored.
        inference_backend: runs the frozen parts: `auto`, `tensorflow` or `openvino`.
        backbone: its name, for people who list the cache.
        ends: when computing activations stops, in seconds since the epoch; None: never.
    """

    cache: Cache
    pixels: Pixels
    dtype: str = "float32"
    inference_backend: str = "tensorflow"
    backbone: str = "a network"
    ends: float | None = None
    # Tables by the id of their boundary, whose weights are digested once; holding the boundary keeps its id unique.
    _known: dict[tuple[int, bool], tuple[Table, Boundary]] = field(default_factory=dict, repr=False)
    _ready: dict[str, InferenceModel] = field(default_factory=dict, repr=False)  # by the name of their table
    _not_cached: int = field(default=0, repr=False)  # images whose activations were computed without caching

    @property
    def computed(self) -> int:
        """Number of images, or views of them, that went through a frozen part in this run."""
        return self._not_cached + sum(table.computed for table in self._tables())

    @property
    def reused(self) -> int:
        """Number of images, or views of them, whose activations were in the cache."""
        return sum(table.reused for table in self._tables())

    @property
    def bytes_estimated(self) -> int:
        """Estimate, made before computing them, of the bytes that the activations take on disk."""
        return sum(table.bytes_estimated for table in self._tables())

    @property
    def bytes_written(self) -> int:
        """Bytes of activations that this run wrote to disk."""
        return sum(table.bytes_written for table in self._tables())

    def summary(self) -> CacheUse:
        """Return what was computed, found and written in this run."""
        return CacheUse(
            images_computed=self.computed,
            images_reused=self.reused,
            images_decoded=self.pixels.decoded,
            bytes_estimated=self.bytes_estimated + self.pixels.bytes_estimated,
            bytes_written=self.bytes_written + self.pixels.bytes_written,
        )

    def objection(self, boundary: Boundary, parts: list[ImageIndex], views: Views | None = None) -> str | None:
        """Return why the activations of these images cannot be cached, or None if they can.

        Args:
            boundary: splits the network.
            parts: the images; the first part is augmented.
            views: of the first part; None takes each image as it is.
        """
        needed = 0
        for number, part in enumerate(parts):
            seen = views if number == 0 else None
            table = self._table(boundary, seen)
            needed += len(table.missing(_keys(part, seen))) * table.row_bytes
        return self.cache.reason_not_to_cache(needed, "activations")

    def rows(self, boundary: Boundary, index: ImageIndex, name: str, views: Views | None = None) -> Rows:
        """Return the activations of every image in the index's order, with the views of an image one after the other.

        Args:
            boundary: splits the network; its prefix computes the missing rows.
            index: the images, with their digests.
            name: of the split, for the progress bar.
            views: of each image; None takes it as it is.

        Raises:
            HeadstartError: when an image cannot be read.
        """
        table, keys = self._table(boundary, views), _keys(index, views)
        return table.rows(keys, lambda positions: self._compute(boundary, index, name, views, positions, keys))

    def in_memory(self, boundary: Boundary, index: ImageIndex, name: str) -> InMemory:
        """Return the activations of every image without caching them on disk.

        Args:
            boundary: splits the network.
            index: the images.
            name: of the split, for the progress bar.
        """
        everything = np.arange(len(index))
        computed = self._compute(boundary, index, name, None, everything, index.pixel_keys)
        values = np.concatenate(list(computed)).astype(storage_type(boundary, self.dtype))
        self._not_cached += len(index)
        return InMemory(values)

    def _tables(self) -> list[Table]:
        return [table for table, _ in self._known.values()]

    def _table(self, boundary: Boundary, views: Views | None) -> Table:
        """Return the table of a frozen part, named by everything except the images that decides the activations."""
        known = self._known.get((id(boundary), views is not None))
        if known is not None:
            return known[0]
        what = {
            "what": "activations",
            "backbone": self.backbone,
            # The words of earlier versions ("cut", "engine"): others would make every stored cache useless.
            "cut": "every cut" if boundary.split_point == EVERY_SPLIT_POINT else boundary.split_point,
            "prefix": _fingerprint(boundary.prefix),
            # Also those that are not layers: some backbones' preprocessing swaps red and blue by a plain operation.
            "operations": [type(operation).__name__ for operation in boundary.prefix.operations],
            "image_size": self.pixels.image_size,
            "resize": self.pixels.resize,
            "reader": READER,
            "engine": resolve_inference_backend(self.inference_backend),  # the last digits depend on it
            # Only its values: neither the name of the option nor the number of views changes a view.
            "augmentation": None if views is None else _values(views.augmentation),
        }
        table = self.cache.table(what, boundary.prefix.output.shape[1:], storage_type(boundary, self.dtype))
        self._known[(id(boundary), views is not None)] = table, boundary
        return table

    def _compute(
        self,
        boundary: Boundary,
        index: ImageIndex,
        name: str,
        views: Views | None,
        positions: np.ndarray,
        keys: tuple[str, ...],
    ) -> Iterator[np.ndarray]:
        """Yield the activations of the missing rows in batches, with a progress bar and an estimate."""
        run, augment = self._forward(boundary, views), _augment(boundary.prefix, views)
        each = views.count if views else 1
        images, wanted = self._images(index, positions // each, name)
        order = np.array_split(np.arange(len(positions)), -(-len(positions) // BATCH_SIZE))
        row_bytes = self._table(boundary, views).row_bytes
        batches = images.batches(wanted[part] for part in order)
        what = f"computing activations at {boundary.split_point} once: {name}"
        started = time.perf_counter()
        for number, (part, pixels) in enumerate(zip(order, track(batches, len(order), what), strict=True)):
            if self.ends is not None and time.time() >= self.ends:
                raise TimeLimitReached
            if augment is not None:
                seeds = np.array([_seed(keys[position], position % each) for position in positions[part]], np.int32)
                pixels = augment(pixels, seeds)
            yield run(pixels)
            if number == 1 and len(order) > 2:  # the first batch traces the graph
                seconds = (time.perf_counter() - started) * (len(order) - 2)
                if seconds > REPORTED_SECONDS:
                    console.print(
                        f"  {name}: {len(positions):,} {'views' if views else 'images'} through the frozen part up to "
                        f"{boundary.split_point}, about {seconds:.0f} s and {decimal(len(positions) * row_bytes)}",
                    )
            started = time.perf_counter() if number == 0 else started

    def _forward(self, boundary: Boundary, views: Views | None) -> InferenceModel:
        """Return the model that runs a frozen part, built once for the same layers and weights."""
        name = self._table(boundary, views).directory.name
        if name not in self._ready:
            self._ready[name] = forward(boundary.prefix, self.inference_backend)
        return self._ready[name]

    def _images(self, index: ImageIndex, positions: np.ndarray, name: str) -> tuple[Any, np.ndarray]:
        """Return a reader for the pixels of some images only, and their positions in it."""
        wanted, inverse = np.unique(positions, return_inverse=True)
        return self.pixels.of(index.take(wanted), name), inverse


def open_activation_cache(config: Config, image_size: int) -> ActivationCache:
    """Open the cache of decoded images and activations that a run's configuration describes.

    Args:
        config: the resolved configuration.
        image_size: side in pixels.
    """
    cache = Cache(cache_directory() / "tables", config.cache.max_gb * 1e9)
    pixels = Pixels(image_size, config.dataset.resize, cache if config.cache.images else None)
    return ActivationCache(cache, pixels, config.cache.dtype, config.inference_backend, config.backbone.name)


def storage_type(boundary: Boundary, dtype: str) -> np.dtype:
    """Return the type in which activations are stored: the configured one, or float16 for a network in float16.

    NumPy has no bfloat16, so such values are stored as float32.
    """
    return np.dtype("float16" if boundary.prefix.output.dtype == "float16" else dtype)


def _keys(index: ImageIndex, views: Views | None) -> tuple[str, ...]:
    """Return the key of each row: the digest of the image's content, and the number of the view."""
    if views is None:
        return index.pixel_keys
    return tuple(f"{key}:{view}" for key in index.pixel_keys for view in range(views.count))


def _seed(key: str, view: int) -> tuple[int, int]:
    """Return the seed of a view. Content alone decides it, so every run has the same views of an image."""
    return int(key[:7], 16), view


def _values(augmentation: Augmentation) -> dict[str, Any]:
    """Return the settings that decide the pixels of a view."""
    return {key: value for key, value in asdict(augmentation.config).items() if key not in ("name", "views")}


def _augment(prefix: keras.Model, views: Views | None) -> Any:
    """Return the function from pixels and seeds to the pixels of views; None without views."""
    if views is None:
        return None
    import tensorflow as tf

    def change(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return views.augmentation.images(tf.cast(images, tf.float32), seeds)

    height, width, channels = prefix.input.shape[1:]
    signature = [tf.TensorSpec((None, height, width, channels), tf.uint8), tf.TensorSpec((None, 2), tf.int32)]
    traced = tf.function(change, input_signature=signature)
    return lambda images, seeds: traced(images, seeds).numpy()


def _fingerprint(model: keras.Model) -> str:
    """Return a digest of a model's layers and weights that ignores their automatic names."""
    import keras

    digest = hashlib.sha256()
    for layer in model._flatten_layers(recursive=True, include_self=False):
        if not isinstance(layer, keras.Model):
            settings = {key: value for key, value in layer.get_config().items() if key not in ("name", "trainable")}
            digest.update(f"{type(layer).__name__} {sorted(settings.items())!r}".encode())
    for weight in model.weights:
        digest.update(f"{weight.shape} {weight.dtype}".encode() + weight.numpy().tobytes())
    return digest.hexdigest()
