"""Measures each image without a network: thumbnail, size, file, brightness, sharpness and border.

The measurements are cached by image content, so that another audit or run reads only a kilobyte per image.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from headstart.cache.segments import NotCachedError
from headstart.cache.store import Cache
from headstart.cache.table import Rows
from headstart.core.console import track
from headstart.data.batch_order import blocks_of
from headstart.data.files.check_cache import READER
from headstart.data.files.formats import FORMATS
from headstart.data.files.images import load_image
from headstart.data.files.limits import Limits, file_bytes
from headstart.data.files.opening import open_image
from headstart.data.index import ImageIndex
from headstart.data.rows import InMemory
from headstart.data.similarity.alignment import SIDE

VERSION = 1  # of the measurements; part of the cache's key
DECODED = 4 * SIDE  # pixels; blur that is invisible at this size is not detected
BORDER = 4  # pixels on each side
READ_AT_ONCE = 4096  # rows
MEASURED_AT_ONCE = 64  # images
THREADS = 4
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as Pillow uses

FIGURES = (
    "width",  # pixels of the file
    "height",
    "bytes",  # of the file
    "format",  # position in FORMATS
    "brightness",  # mean grey level, 0 to 255
    "contrast",  # deviation of the grey levels
    "darkest",  # grey level at the 5 % quantile
    "brightest",  # grey level at the 95 % quantile
    "sharpness",  # variance of the Laplacian
    "coarse_sharpness",  # the same at half the size
    "border_red",  # median of the outermost pixels, which ignores objects that touch the border
    "border_green",
    "border_blue",
)
ROW_BYTES = SIDE * SIDE + 4 * len(FIGURES)


@dataclass(frozen=True)
class Measurements:
    """The measurements of each image of an index, in its order."""

    rows: Rows | InMemory
    figures: np.ndarray  # float32 (n, len(FIGURES))

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one of FIGURES for every image, float64 (n,)."""
        return self.figures[:, FIGURES.index(name)].astype(np.float64)

    def thumbnails(self, positions: np.ndarray) -> np.ndarray:
        """Return grey thumbnails, uint8 (m, SIDE, SIDE), read from disk on demand.

        Args:
            positions: int (m,).
        """
        return self.rows.read(positions)[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE)


def measure_images(index: ImageIndex, cache: Cache | None) -> Measurements:
    """Measure every image, except those with cached measurements.

    Args:
        index: the images, with their digests.
        cache: for the measurements; None keeps them in memory.

    Raises:
        HeadstartError: when an image cannot be read.
    """

    def compute(positions: np.ndarray) -> Iterator[np.ndarray]:
        parts = np.array_split(positions, -(-len(positions) // MEASURED_AT_ONCE))
        yield from track(_measured(index, iter(parts)), len(parts), "measuring images once")

    rows: Rows | InMemory | None = None
    if cache is not None and cache.reason_not_to_cache(len(index) * ROW_BYTES, "measurements") is None:
        what = {"what": "measurements", "version": VERSION, "figures": list(FIGURES), "reader": READER}
        table = cache.table(what, (ROW_BYTES,), np.dtype(np.uint8))
        try:
            rows = table.rows(index.pixel_keys, compute)
        except NotCachedError:  # they are small enough to keep in memory
            rows = None
    if rows is None:
        rows = InMemory(np.concatenate(list(compute(np.arange(len(index))))))
    parts = blocks_of(np.arange(len(index)), READ_AT_ONCE)
    figures = [np.ascontiguousarray(rows.read(part)[:, SIDE * SIDE :]).view(np.float32) for part in parts]
    return Measurements(rows, np.concatenate(figures))


def _measured(index: ImageIndex, parts: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows of each part of the images, uint8 (m, ROW_BYTES), while decoding the next ones."""
    with ThreadPoolExecutor(THREADS) as threads:
        waiting: collections.deque[list[Future]] = collections.deque()
        try:
            for part in parts:
                waiting.append([threads.submit(_row, index, int(position)) for position in part])
                if len(waiting) > 2:
                    yield np.stack([future.result() for future in waiting.popleft()])
            while waiting:
                yield np.stack([future.result() for future in waiting.popleft()])
        finally:  # the consumer stopped early
            for futures in waiting:
                for future in futures:
                    future.cancel()


def _row(index: ImageIndex, position: int) -> np.ndarray:
    """Return the thumbnail and the figures of one image as bytes."""
    pixels = load_image(index.file(position), DECODED, "stretch", index.limits, index.value_range)
    grey = pixels @ GREY
    thumbnail = grey.reshape(SIDE, DECODED // SIDE, SIDE, DECODED // SIDE).mean(axis=(1, 3)).round().astype(np.uint8)
    half = grey.reshape(DECODED // 2, 2, DECODED // 2, 2).mean(axis=(1, 3))
    levels = np.sort(thumbnail, axis=None)
    edge = pixels[:BORDER], pixels[-BORDER:], pixels[:, :BORDER], pixels[:, -BORDER:]
    border = np.concatenate([strip.reshape(-1, 3) for strip in edge])
    figures = [
        *_file(index, position),
        grey.mean(),
        grey.std(),
        levels[len(levels) // 20],
        levels[-len(levels) // 20],
        _laplacian(grey).var(),
        _laplacian(half).var(),
        *np.median(border, axis=0),
    ]
    return np.concatenate([thumbnail.reshape(-1), np.array(figures, np.float32).view(np.uint8)])


def _laplacian(grey: np.ndarray) -> np.ndarray:
    return grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]


def _file(index: ImageIndex, position: int) -> tuple[int, int, int, int]:
    """Return the width, height, bytes and format of a readable image file."""
    limits: Limits = index.limits
    with file_bytes(index.file(position), limits) as data, open_image(data)[0] as image:
        name = "JPEG" if image.format == "MPO" else image.format
        return image.width, image.height, len(data), FORMATS.index(name) if name in FORMATS else -1
