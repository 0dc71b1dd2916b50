"""Limits on image files and on the memory for decoding them; only regular files are read."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

MEGABYTE = 1_000_000
LARGE_FILE = 16 * MEGABYTE  # larger files are read one at a time, however many threads there are
LARGE_ALLOCATION = 1 << 24  # bytes
SCANS = 50  # allowed for a JPEG at the limit of pixels, more for a smaller one; a usual progressive JPEG has about ten
DECODING_MEMORY = 600 * MEGABYTE  # per process; a single image of dataset.max_pixels may take more

# Measured upper bounds on the bytes per pixel while an image is decoded and converted to 8-bit RGB: by image mode, and
# what the decoders of some formats need in addition.
BYTES_PER_PIXEL = {"1": 2, "L": 2, "P": 6, "RGB": 4, "I;16": 4, "I;16B": 4, "I": 7, "F": 7}
OTHER_BYTES_PER_PIXEL = 8  # with transparency, CMYK
WEBP_BYTES = 16
EXTRA_BYTES_PER_PIXEL = {"WEBP": WEBP_BYTES - 4, "AVIF": 10, "HEIF": 12, "TIFF": 4}
LOW_BYTES_PER_PIXEL = 8  # 16-bit colours: decoded for their high bytes and their low bytes
PROGRESSIVE_BYTES_PER_PIXEL = 6  # JPEG: at its full size, at whatever scale it is decoded
STRIPS = 64 * MEGABYTE  # for what is changed strip by strip

SPECIAL_FILES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Limits(NamedTuple):
    """The limits on the size of image files."""

    pixels: int = 89_478_485  # width times height; Pillow warns about more
    megabytes: float = 256.0  # file size

    def expect_pixels(self, width: float, height: float) -> None:
        """Raise a ValueError if an image has too many pixels according to its header."""
        if width * height > self.pixels:
            raise ValueError(f"its {width:g} x {height:g} pixels are over dataset.max_pixels={self.pixels}")

    def expect_bytes(self, size: int) -> None:
        """Raise a ValueError if a file is too large."""
        if size > self.megabytes * MEGABYTE:
            raise ValueError(f"its {size / MEGABYTE:,.0f} MB are over dataset.max_file_mb={self.megabytes:g}")

    def expect_scans(self, data: bytes, pixels: float) -> None:
        """Raise a ValueError if a JPEG has so many scans that decoding would hardly end."""
        scans = data.count(b"\xff\xda")
        if scans * pixels > SCANS * self.pixels:
            raise ValueError(f"its {scans:,} scans over {pixels:,.0f} pixels take too long")


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def release_freed_memory() -> None:
    """Return freed memory to the operating system; glibc needs to be told, other C libraries do not."""
    if library := _glibc():
        library.malloc_trim(0)


def decoding_bytes(image: Image.Image, full_size: tuple[int, int], deep: bool) -> int:
    """Return how many bytes it takes to decode an opened image and convert it to 8-bit RGB.

    Args:
        image: not yet decoded; a JPEG already has the scale at which it will be decoded.
        full_size: width and height at scale 1, in pixels.
        deep: whether the image has more than 8 bits per value.
    """
    pixels = image.width * image.height
    each = BYTES_PER_PIXEL.get(image.mode, OTHER_BYTES_PER_PIXEL) + EXTRA_BYTES_PER_PIXEL.get(image.format or "", 0)
    if deep and image.mode in ("RGB", "RGBA", "CMYK"):
        each += LOW_BYTES_PER_PIXEL
    in_strips = min(STRIPS, 16 * pixels) if deep or image.mode not in BYTES_PER_PIXEL else 0
    progressive = PROGRESSIVE_BYTES_PER_PIXEL * full_size[0] * full_size[1] if image.info.get("progressive") else 0
    return pixels * each + in_strips + progressive


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a WebP, which Pillow decodes already when it opens it; None for other files."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1


LIMITS = Limits()
_large_file = threading.Lock()


@contextlib.contextmanager
def file_bytes(file: Path, limits: Limits = LIMITS) -> Iterator[bytes]:
    """Yield the bytes of a regular file; large files are read one at a time.

    Args:
        file: the file, or a link to it.
        limits: the limits on its size.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is not a regular file, or too large.
    """
    _expect_regular(file.stat())  # before opening it, because opening a device can have side effects
    # If another process replaces the file by a pipe in between, O_NONBLOCK does not wait for a writer.
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as opened:
        status = os.fstat(opened.fileno())
        _expect_regular(status)
        limits.expect_bytes(status.st_size)
        with _large_file if status.st_size > LARGE_FILE else contextlib.nullcontext():
            yield opened.read(status.st_size + 1)


def _expect_regular(status: os.stat_result) -> None:
    kind = SPECIAL_FILES.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise ValueError(f"it is {kind}, not a file")


class MemoryBudget:
    """The memory for decoding images, shared by all threads of this process.

    Memory of large images is returned to the operating system. glibc would keep it for the thread that used it, so that
    each thread of a pool would end up holding the size of the largest image it has decoded.
    """

    def __init__(self, size: int = DECODING_MEMORY) -> None:
        """Start with an unused budget.

        Args:
            size: in bytes.
        """
        self._total = self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and reserve them; a size beyond the budget reserves all of it."""
        share = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            if share > LARGE_ALLOCATION:
                release_freed_memory()
            with self._changed:
                self._free += share
                self._changed.notify_all()
