"""Decodes image files to pixels, in the same way for training, evaluation, prediction and previews.

A pool of threads decodes in parallel: Pillow releases the interpreter lock while it decodes and resizes, and calls
share no state.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from headstart.core.errors import expect_one_of
from headstart.data.files.formats import IMAGE_EXTENSIONS
from headstart.data.files.high_bit_depth import (
    FULL_RANGE,
    HighBitDepth,
    ValueRange,
    Values,
    detect_high_bit_depth,
    measure_values,
    to_eight_bits,
    use_raw_mode,
)
from headstart.data.files.limits import LIMITS, Limits, file_bytes
from headstart.data.files.metadata import orientation, skip_exif_directories
from headstart.data.files.opening import (
    NoMemoryError,
    OpenedImage,
    UnreadableImageError,
    open_image,
    open_within_limits,
    run_decoder,
)

__all__ = [
    "IMAGE_EXTENSIONS",
    "RESIZE_MODES",
    "NoMemoryError",
    "UnreadableImageError",
    "is_high_bit_depth",
    "load_image",
    "verify_image",
]

RESIZE_MODES = ("stretch", "crop", "pad")

STRIP_PIXELS = 1 << 22  # converted at once, which keeps a large image in memory twice and not five times
PROBE_SIZE = 32  # pixels; decoding reads all bytes whatever the target size, and a small one is fast
# The transposition that makes an image upright, by EXIF orientation; 1 is upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(
    source: Path | bytes, size: int, resize: str, limits: Limits = LIMITS, value_range: ValueRange | None = None
) -> np.ndarray:
    """Return an image file as a square of RGB pixels, upright and composited over white.

    Grey, palette, CMYK, 1-bit and 16-bit images become 8-bit RGB. Animations and multi-page files give their first
    image. Resizing is bilinear with antialiasing. Large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size, but not
    below the target size: this covers the same region, is up to twice as fast, and differs from full decoding of
    photographs by about one level of 255.

    Args:
        source: the file, or its bytes.
        size: side of the square in pixels, 1 or more.
        resize: `stretch` ignores the aspect ratio, `crop` scales the shorter side and cuts out the centre, `pad` scales
            the longer side and pads with black.
        limits: the limits on the file, checked by its header before anything is decoded.
        value_range: the values of a file with more than 8 bits that become black and white; None for 0 to 65535.

    Returns:
        uint8 (size, size, 3), values 0 to 255.

    Raises:
        UnreadableImageError: when the file is not an image or damaged; names the file and the reason.
        NoMemoryError: when there is not enough memory.
    """
    expect_one_of("resize", resize, RESIZE_MODES)

    def decode(data: bytes) -> np.ndarray:
        with open_within_limits(data, limits, lambda width, height: _target(width, height, size, resize)) as opened:
            return np.asarray(_decode_square(opened, size, resize, value_range))

    def read() -> np.ndarray:
        if isinstance(source, bytes):
            return decode(source)
        with file_bytes(source, limits) as data:
            return decode(data)

    return run_decoder(source, read)


def verify_image(data: bytes, limits: Limits = LIMITS, name: Path | None = None) -> Values | None:
    """Check that an image can be decoded, and return the statistics of its values; None for 8 bits per value.

    Args:
        data: content of the file.
        limits: the limits on its size.
        name: of the file, for messages.

    Raises:
        UnreadableImageError: when the file cannot be decoded.
        NoMemoryError: when there is not enough memory.
    """

    def decode() -> Values | None:
        with open_within_limits(data, limits, lambda *_: (PROBE_SIZE, PROBE_SIZE)) as opened:
            if opened.deep is not None:
                return measure_values(*_load_high_bit_depth(opened))
            _decode_square(opened, PROBE_SIZE, "stretch", None)
            return None

    return run_decoder(name or data, decode)


def is_high_bit_depth(file: Path, limits: Limits = LIMITS) -> bool:
    """Return whether a file has more than 8 bits per value, without decoding it.

    Raises:
        UnreadableImageError: when the file is not an image.
    """

    def read_header() -> bool:
        with file_bytes(file, limits) as data, open_within_limits(data, limits, lambda *size: size) as opened:
            return opened.deep is not None

    return run_decoder(file, read_header)


def _load_high_bit_depth(opened: OpenedImage) -> tuple[Image.Image, HighBitDepth, Image.Image | None]:
    """Decode an image with more than 8 bits per value; return it, how to read it, and the low bytes of its colours."""
    image, deep = opened.image, opened.deep
    if deep is None:
        raise ValueError("Expected an image with more than 8 bits per value")
    low = None
    if deep.pairs:
        use_raw_mode(image, "RGBA")
    if deep.low is not None:
        low, _ = open_image(opened.data)
        detect_high_bit_depth(low)
        use_raw_mode(low, deep.low)
        if isinstance(low, TiffImagePlugin.TiffImageFile):
            skip_exif_directories(low)
        low.load()
    image.load()
    return image, deep, low


def _decode_square(opened: OpenedImage, size: int, resize: str, value_range: ValueRange | None) -> Image.Image:
    """Decode, resize and rotate an opened image, in the order that processes the fewest pixels."""
    image, deep = opened.image, opened.deep
    if deep is None or _high_bytes_suffice(image, deep, value_range):
        image.load()
        decoded = _flatten_transparency(image)
    else:
        decoded = to_eight_bits(*_load_high_bit_depth(opened), value_range)
    # At a reduced scale, the image may end at a fraction of a pixel. Pillow makes a TIFF upright while loading it.
    width: float
    height: float
    width, height = opened.drafted[1][2:] if opened.drafted else image.size
    box = (0.0, 0.0, width, height)
    if resize == "crop":
        side = min(width, height)
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    pixels = decoded.resize(_target(width, height, size, resize), Image.Resampling.BILINEAR, box=box)

    exif_orientation = orientation(image)
    if exif_orientation in UPRIGHT:
        pixels = pixels.transpose(UPRIGHT[exif_orientation])
    pixels = pixels.convert("RGB")
    if pixels.size == (size, size):
        return pixels
    padded = Image.new("RGB", (size, size))
    padded.paste(pixels, ((size - pixels.width) // 2, (size - pixels.height) // 2))
    return padded


def _high_bytes_suffice(image: Image.Image, deep: HighBitDepth, value_range: ValueRange | None) -> bool:
    """Return whether the high bytes of 16-bit colours give the 8-bit image."""
    full_range = value_range in (None, FULL_RANGE) and (deep.colours or deep.pairs)
    return full_range and not isinstance(image.info.get("transparency"), tuple)  # a transparent colour of 16 bits


def _target(width: float, height: float, size: int, resize: str) -> tuple[int, int]:
    """Return the width and height in pixels to which an image (for `crop`, its centre) is scaled."""
    if resize != "pad":
        return size, size
    longer = max(width, height)
    return max(1, round(size * width / longer)), max(1, round(size * height / longer))


def _flatten_transparency(image: Image.Image) -> Image.Image:
    """Return a loaded 8-bit image as grey or RGB, composited over white."""
    if image.has_transparency_data:
        return _in_strips(image, "RGB", _over_white)
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_strips(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image to another mode with a function that is applied to strips of rows."""
    rows = max(1, STRIP_PIXELS // image.width)
    if rows >= image.height:
        return change(image)
    changed = Image.new(mode, image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        changed.paste(change(strip), (0, top))
    return changed


def _over_white(image: Image.Image) -> Image.Image:
    """Return a loaded image composited over white."""
    colour = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
