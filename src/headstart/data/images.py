"""The one way a file becomes pixels: training, test, prediction and previews all come through here.

Pillow releases the interpreter lock while it decodes and resizes, and nothing here is shared between calls, so that a
pool of threads decodes in parallel.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from headstart.data.limits import LIMITS, Limits, Room, file_bytes
from headstart.errors import HeadstartError, expect_one_of

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
RESIZE_MODES = ("stretch", "crop", "pad")

# The content decides which of these a file is, whatever its name says. All others are refused: some of Pillow's
# readers start other programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")

# What Pillow's readers raise on damaged files (it documents only OSError).
DECODE_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

# The limit is ours: `dataset.max_pixels`. Pillow warns from its own on, and refuses what has twice as many.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

STRIP_PIXELS = 1 << 22  # of a large image that are changed at once, so that it is in memory twice and not five times
room = Room(LIMITS.pixels)

# How an image is turned upright, by the value of its EXIF orientation; 1 is upright already.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(HeadstartError):
    """A file that is no image, or a damaged one."""

    def __init__(self, source: Path | bytes, reason: str) -> None:
        """Name the file, and keep the reason by itself for lists of files."""
        self.reason = reason
        name = f"{len(source)} bytes" if isinstance(source, bytes) else source
        super().__init__(f"Expected an image that can be read. Received: {name} ({reason})")


def load_image(source: Path | bytes, size: int, resize: str, limits: Limits = LIMITS) -> np.ndarray:
    """Return an image file as a square of RGB pixels, upright, without transparency.

    Grey, palette, CMYK, 1-bit and 16-bit images become 8-bit RGB; transparency is laid over white; of an animation or
    a multi-page file the first picture counts. Resizing is bilinear with antialiasing. JPEGs much larger than needed
    are decoded at 1/2, 1/4 or 1/8 of their size, never below the size that is asked for: the same region, up to twice
    as fast, on photographs about one level of 255 away from full decoding.

    Args:
        source: the file, or its bytes.
        size: side of the square in pixels, 1 or more.
        resize: `stretch` ignores the aspect ratio, `crop` scales the shorter side and cuts out the centre, `pad` scales
            the longer side and fills up with black.
        limits: what the file may ask for; its header is asked before anything is decoded.

    Returns:
        uint8 (size, size, 3), values 0 to 255.

    Raises:
        UnreadableImageError: a HeadstartError that names the file and the reason.
    """
    expect_one_of("resize", resize, RESIZE_MODES)
    try:
        if isinstance(source, bytes):
            limits.expect_bytes(len(source))
            return _decoded(source, size, resize, limits)
        with file_bytes(source, limits) as data:
            return _decoded(data, size, resize, limits)
    except DECODE_ERRORS as error:
        raise UnreadableImageError(source, _reason(error)) from error


def _decoded(data: bytes, size: int, resize: str, limits: Limits) -> np.ndarray:
    """Return the pixels of a file's bytes, once its header has been found to be within the limits."""
    if not data:
        raise ValueError("the file is empty")
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        limits.expect_pixels(width, height)
        drafted = None
        if image.format in ("JPEG", "MPO"):
            limits.expect_scans(data, width * height)
            drafted = image.draft(None, _target(width, height, size, resize))
        # A progressive JPEG is in memory at its full size, at whatever scale it is decoded.
        held = width * height if image.info.get("progressive") else image.width * image.height
        with room.taken(held):
            try:
                return np.asarray(_square(image, size, resize, drafted))
            finally:
                image.close()  # its pixels are freed before others take their room


def _square(image: Image.Image, size: int, resize: str, drafted: Any) -> Image.Image:
    """Decode, resize and turn an opened image, in the order that touches the fewest pixels."""
    image.load()
    # At a reduced scale the image need not end at a whole pixel. A TIFF has turned itself upright while it was loaded.
    width: float
    height: float
    width, height = drafted[1][2:] if drafted else image.size
    box = (0.0, 0.0, width, height)
    if resize == "crop":
        side = min(width, height)
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    pixels = _opaque(image).resize(_target(width, height, size, resize), Image.Resampling.BILINEAR, box=box)

    # Asked only now, because a PNG may carry its EXIF data behind the pixels.
    orientation = image.getexif().get(ExifTags.Base.Orientation)
    if orientation in UPRIGHT:
        pixels = pixels.transpose(UPRIGHT[orientation])
    pixels = pixels.convert("RGB")
    if pixels.size == (size, size):
        return pixels
    padded = Image.new("RGB", (size, size))
    padded.paste(pixels, ((size - pixels.width) // 2, (size - pixels.height) // 2))
    return padded


def _target(width: float, height: float, size: int, resize: str) -> tuple[int, int]:
    """Return the width and height in pixels that an image (its centre, for `crop`) is scaled to."""
    if resize != "pad":
        return size, size
    longer = max(width, height)
    return max(1, round(size * width / longer)), max(1, round(size * height / longer))


def _opaque(image: Image.Image) -> Image.Image:
    """Return a loaded image as 8-bit grey or RGB, transparency laid over white."""
    if image.mode == "F":
        raise ValueError("it holds floating-point values, whose range is unknown; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return _in_strips(image, "L", _eight_bits)
    if image.has_transparency_data:
        return _in_strips(image, "RGB", _over_white)
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_strips(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return an image of another mode that a function makes of it, one strip of rows after the other."""
    rows = max(1, STRIP_PIXELS // image.width)
    if rows >= image.height:
        return change(image)
    changed = Image.new(mode, image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        changed.paste(change(strip), (0, top))
    return changed


def _over_white(image: Image.Image) -> Image.Image:
    """Return a loaded image with its transparency laid over white."""
    colour = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a loaded grey image of 16 bits as one of 8: 65535 / 257 is 255."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("it holds whole numbers outside 0 to 65535; save it with 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _reason(error: BaseException) -> str:
    """Return why a file could not be read, for people."""
    if isinstance(error, UnidentifiedImageError):
        return f"its content is none of {', '.join(FORMATS)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
