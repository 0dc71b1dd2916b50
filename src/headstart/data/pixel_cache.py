"""Read batches of pixels from the image files, or from the cache of decoded images."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from headstart.cache.segments import NotCachedError
from headstart.cache.store import Cache
from headstart.cache.table import Rows, Table
from headstart.core.console import console, track
from headstart.data.files.check_cache import READER
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex

LOADING_THREADS = 4  # decoding releases Python's lock; a few more threads than cores hide the time of the disk
BATCHES_AHEAD = 3  # batches that are being decoded, which limits the memory, beside the two that wait
DECODED_AT_ONCE = 64  # images


class Batches(Protocol):
    """A source of one row of numbers per image: cached rows, or image files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield (batch, ...) for each array of positions."""


@dataclass(frozen=True)
class Files:
    """Image files, which are decoded each time they are read."""

    index: ImageIndex
    image_size: int
    resize: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return (self.image_size, self.image_size, 3)

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, 0 to 255."""
        return np.dtype(np.uint8)

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield decoded batches in the given order, and decode the next ones in the background.

        Args:
            order: positions in the index, one array per batch.

        Yields:
            uint8 images (batch, size, size, 3).
        """
        with ThreadPoolExecutor(LOADING_THREADS) as threads:
            waiting: collections.deque[list[Future]] = collections.deque()

            def finish() -> np.ndarray:
                return np.stack([future.result() for future in waiting.popleft()])

            try:
                for positions in order:
                    waiting.append([threads.submit(self._load, int(position)) for position in positions])
                    if len(waiting) > BATCHES_AHEAD:
                        yield finish()
                while waiting:
                    yield finish()
            finally:  # the reader stopped early: do not decode images that nobody reads
                for futures in waiting:
                    for future in futures:
                        future.cancel()

    def _load(self, position: int) -> np.ndarray:
        index = self.index
        return load_image(index.file(position), self.image_size, self.resize, index.limits, index.value_range)


@dataclass
class Pixels:
    """The images of a run at one size, decoded once if there is a cache with room for them.

    Args:
        image_size: side in pixels.
        resize: `stretch`, `crop` or `pad`.
        cache: where decoded images are stored; None decodes them each time they are read.
    """

    image_size: int
    resize: str
    cache: Cache | None = None
    _table: Table | None = field(default=None, repr=False)
    _no_room_reported: bool = field(default=False, repr=False)

    @property
    def decoded(self) -> int:
        """Number of images that this run decoded for the cache."""
        return self._table.computed if self._table else 0

    @property
    def bytes_estimated(self) -> int:
        """Estimate, made before decoding, of the bytes that they take on disk."""
        return self._table.bytes_estimated if self._table else 0

    @property
    def bytes_written(self) -> int:
        """Bytes of decoded images that this run wrote to disk."""
        return self._table.bytes_written if self._table else 0

    def of(self, index: ImageIndex, name: str) -> Files | Rows:
        """Return the source of the images' pixels, after decoding those that are not in the cache.

        Args:
            index: the images; without digests they are read from their files.
            name: of the split, for the progress bar.

        Raises:
            HeadstartError: when an image cannot be read.
        """
        files = Files(index, self.image_size, self.resize)
        if self.cache is None or len(index.digests) != len(index):
            return files
        if self._table is None:
            what = {"what": "images", "image_size": self.image_size, "resize": self.resize, "reader": READER}
            self._table = self.cache.table(what, files.shape, files.dtype)
        table = self._table
        needed = len(table.missing(index.pixel_keys)) * table.row_bytes
        if objection := self.cache.reason_not_to_cache(needed, "decoded images"):
            return self._uncached(files, objection)

        def decode(positions: np.ndarray) -> Iterator[np.ndarray]:
            order = np.array_split(positions, -(-len(positions) // DECODED_AT_ONCE))
            yield from track(files.batches(iter(order)), len(order), f"decoding images once: {name}")

        try:
            return table.rows(index.pixel_keys, decode)
        except NotCachedError as error:
            return self._uncached(files, str(error))

    def _uncached(self, files: Files, reason: str) -> Files:
        """Return the files themselves, and print the reason once."""
        if not self._no_room_reported:
            console.print(f"  {reason}: images are decoded in every epoch", markup=False)
        self._no_room_reported = True
        return files
