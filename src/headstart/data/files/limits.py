"""What one image file may ask for, and how its bytes are read: never from a pipe, a socket or a device."""

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
ONE_BY_ONE = 16 * MEGABYTE  # larger files are read one after the other, however many threads there are
LARGE = 1 << 24  # bytes in memory
SCANS = 50  # of a JPEG at the limit of pixels, more of a smaller one; an ordinary progressive one has about ten
MEMORY = 600 * MEGABYTE  # for decoding, of one process; a single image of dataset.max_pixels may take more

# Bytes that a pixel takes at most while it is decoded and becomes 8-bit RGB, measured: by the mode of the image, and
# what the readers of some formats take beside it.
MODES = {"1": 2, "L": 2, "P": 6, "RGB": 4, "I;16": 4, "I;16B": 4, "I": 7, "F": 7}
OTHER_MODES = 8  # with transparency, CMYK
WEBP_BYTES = 16
OF_FORMATS = {"WEBP": WEBP_BYTES - 4, "AVIF": 10, "HEIF": 12, "TIFF": 4}
TWICE = 8  # 16-bit colours: decoded for their high bytes and their low bytes
PROGRESSIVE = 6  # JPEG: at its full size, at whatever scale it is decoded
STRIPS = 64 * MEGABYTE  # for what is changed strip by strip

KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Limits(NamedTuple):
    """The largest image file that is read."""

    pixels: int = 89_478_485  # width times height, where Pillow begins to warn
    megabytes: float = 256.0  # of the file

    def expect_pixels(self, width: float, height: float) -> None:
        """Raise a ValueError when a header announces more pixels than an image may have."""
        if width * height > self.pixels:
            raise ValueError(f"its {width:g} x {height:g} pixels are over dataset.max_pixels={self.pixels}")

    def expect_bytes(self, size: int) -> None:
        """Raise a ValueError when a file is larger than an image may be."""
        if size > self.megabytes * MEGABYTE:
            raise ValueError(f"its {size / MEGABYTE:,.0f} MB are over dataset.max_file_mb={self.megabytes:g}")

    def expect_scans(self, data: bytes, pixels: float) -> None:
        """Raise a ValueError when a JPEG asks for so many passes over its pixels that it would not end."""
        scans = data.count(b"\xff\xda")
        if scans * pixels > SCANS * self.pixels:
            raise ValueError(f"its {scans:,} scans over {pixels:,.0f} pixels take too long")


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library is glibc; others do so by themselves."""
    if library := _glibc():
        library.malloc_trim(0)


def bytes_held(image: Image.Image, full_size: tuple[int, int], deep: bool) -> int:
    """Return how much memory it takes to decode an opened image and to make 8-bit RGB of it.

    Args:
        image: not yet decoded; a JPEG at the scale that it will be decoded at.
        full_size: width and height at scale 1.
        deep: whether it has more than 8 bits a value.
    """
    pixels = image.width * image.height
    each = MODES.get(image.mode, OTHER_MODES) + OF_FORMATS.get(image.format or "", 0)
    if deep and image.mode in ("RGB", "RGBA", "CMYK"):
        each += TWICE
    in_strips = min(STRIPS, 16 * pixels) if deep or image.mode not in MODES else 0
    progressive = PROGRESSIVE * full_size[0] * full_size[1] if image.info.get("progressive") else 0
    return pixels * each + in_strips + progressive


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a WebP, whose reader takes memory when it is opened; None for other files."""
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
    """Yield the bytes of a regular file; while they are those of a large one, no other large one is read.

    Args:
        file: the file, or a link to it.
        limits: what it may ask for.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no regular file, or too large.
    """
    _expect_regular(file.stat())  # before it is opened: to open a device can do something
    # Should another process put a pipe there meanwhile, O_NONBLOCK does not wait for somebody to write.
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as opened:
        status = os.fstat(opened.fileno())
        _expect_regular(status)
        limits.expect_bytes(status.st_size)
        with _large_file if status.st_size > ONE_BY_ONE else contextlib.nullcontext():
            yield opened.read(status.st_size + 1)


def _expect_regular(status: os.stat_result) -> None:
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise ValueError(f"it is {kind}, not a file")


class Room:
    """Memory that images may take while they are decoded, over all threads of this process.

    What large images held is given back to the system: glibc would keep it for the thread that had it, and each
    thread of a pool would come to hold the largest image it has seen.
    """

    def __init__(self, size: int = MEMORY) -> None:
        """Start with all of it free.

        Args:
            size: in bytes.
        """
        self._all = self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and hold them; more than there are at all are held alone."""
        share = min(size, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            if share > LARGE:
                give_back_memory()
            with self._changed:
                self._free += share
                self._changed.notify_all()
