"""The one way a file becomes pixels: training, test, prediction and previews all come through here.

Pillow releases the interpreter lock while it decodes and resizes, and nothing here is shared between calls, so that a
pool of threads decodes in parallel.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

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


def load_image(source: Path | bytes, size: int, resize: str) -> np.ndarray:
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

    Returns:
        uint8 (size, size, 3), values 0 to 255.

    Raises:
        UnreadableImageError: a HeadstartError that names the file and the reason.
    """
    expect_one_of("resize", resize, RESIZE_MODES)
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        if not data:
            raise ValueError("the file is empty")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return np.asarray(_square(image, size, resize))
    except DECODE_ERRORS as error:
        raise UnreadableImageError(source, _reason(error)) from error


def _square(image: Image.Image, size: int, resize: str) -> Image.Image:
    """Decode, resize and turn an opened image, in the order that touches the fewest pixels."""
    width: float
    height: float
    width, height = image.size
    # Pillow itself only warns until twice this limit.
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"its {width} x {height} pixels are over the limit of {Image.MAX_IMAGE_PIXELS:,}")

    drafted = image.draft(None, _target(width, height, size, resize)) if image.format in ("JPEG", "MPO") else None
    image.load()
    # At a reduced scale the image need not end at a whole pixel. A TIFF has turned itself upright while it was loaded.
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
        return _eight_bits(image)
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


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
