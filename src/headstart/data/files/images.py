"""The one way a file becomes pixels: training, test, prediction and previews all come through here.

Pillow releases the interpreter lock while it decodes and resizes, and nothing here is shared between calls, so that a
pool of threads decodes in parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from headstart.core.errors import expect_one_of
from headstart.data.files.formats import IMAGE_EXTENSIONS
from headstart.data.files.high_bit_depth import (
    FULL,
    HighBitDepth,
    ValueRange,
    Values,
    inspect,
    measure,
    to_eight_bits,
    use_raw_mode,
)
from headstart.data.files.limits import LIMITS, Limits, file_bytes
from headstart.data.files.metadata import forget_subdirectories, orientation
from headstart.data.files.opening import (
    NoMemoryError,
    Opened,
    UnreadableImageError,
    naming_failures,
    open_image,
    opened,
)

__all__ = [
    "IMAGE_EXTENSIONS",
    "RESIZE_MODES",
    "NoMemoryError",
    "UnreadableImageError",
    "examine",
    "is_high_bit_depth",
    "load_image",
]

RESIZE_MODES = ("stretch", "crop", "pad")

STRIP_PIXELS = 1 << 22  # of a large image that are changed at once, so that it is in memory twice and not five times
PROBE_SIZE = 32  # pixels; all bytes are decoded whatever the size, and a small one is fast
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


def load_image(
    source: Path | bytes, size: int, resize: str, limits: Limits = LIMITS, value_range: ValueRange | None = None
) -> np.ndarray:
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
        value_range: the values that become black and white in a file of more than 8 bits; None takes 0 to 65535.

    Returns:
        uint8 (size, size, 3), values 0 to 255.

    Raises:
        UnreadableImageError: a HeadstartError that names the file and the reason.
        NoMemoryError: a HeadstartError.
    """
    expect_one_of("resize", resize, RESIZE_MODES)

    def decode(data: bytes) -> np.ndarray:
        with opened(data, limits, lambda width, height: _target(width, height, size, resize)) as found:
            return np.asarray(_square(found, size, resize, value_range))

    def read() -> np.ndarray:
        if isinstance(source, bytes):
            return decode(source)
        with file_bytes(source, limits) as data:
            return decode(data)

    return naming_failures(source, read)


def examine(data: bytes, limits: Limits = LIMITS, name: Path | None = None) -> Values | None:
    """Decode a file's bytes, and return the values that it holds; None for a file of 8 bits a value.

    Args:
        data: of the file.
        limits: what it may ask for.
        name: the file's, for messages.

    Raises:
        UnreadableImageError: when it cannot be decoded.
        NoMemoryError: when there is not enough memory.
    """

    def decode() -> Values | None:
        with opened(data, limits, lambda *_: (PROBE_SIZE, PROBE_SIZE)) as found:
            if found.deep is not None:
                return measure(*_loaded(found))
            _square(found, PROBE_SIZE, "stretch", None)
            return None

    return naming_failures(name or data, decode)


def is_high_bit_depth(file: Path, limits: Limits = LIMITS) -> bool:
    """Tell whether a file has more than 8 bits a value; nothing is decoded.

    Raises:
        UnreadableImageError: when it is no image.
    """

    def look() -> bool:
        with file_bytes(file, limits) as data, opened(data, limits, lambda *size: size) as found:
            return found.deep is not None

    return naming_failures(file, look)


def _loaded(found: Opened) -> tuple[Image.Image, HighBitDepth, Image.Image | None]:
    """Decode a file of more than 8 bits: the image, what it is, and the low bytes of its colours."""
    image, deep = found.image, found.deep
    if deep is None:
        raise ValueError("Expected a file of more than 8 bits")
    low = None
    if deep.pairs:
        use_raw_mode(image, "RGBA")
    if deep.low is not None:
        low, _ = open_image(found.data)
        inspect(low)
        use_raw_mode(low, deep.low)
        if isinstance(low, TiffImagePlugin.TiffImageFile):
            forget_subdirectories(low)
        low.load()
    image.load()
    return image, deep, low


def _square(found: Opened, size: int, resize: str, value_range: ValueRange | None) -> Image.Image:
    """Decode, resize and turn an opened image, in the order that touches the fewest pixels."""
    image, deep = found.image, found.deep
    if deep is None or _seen_as_it_is(image, deep, value_range):
        image.load()
        whole = _opaque(image)
    else:
        whole = to_eight_bits(*_loaded(found), value_range)
    # At a reduced scale the image need not end at a whole pixel. A TIFF has turned itself upright while it was loaded.
    width: float
    height: float
    width, height = found.drafted[1][2:] if found.drafted else image.size
    box = (0.0, 0.0, width, height)
    if resize == "crop":
        side = min(width, height)
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    pixels = whole.resize(_target(width, height, size, resize), Image.Resampling.BILINEAR, box=box)

    turned = orientation(image)
    if turned in UPRIGHT:
        pixels = pixels.transpose(UPRIGHT[turned])
    pixels = pixels.convert("RGB")
    if pixels.size == (size, size):
        return pixels
    padded = Image.new("RGB", (size, size))
    padded.paste(pixels, ((size - pixels.width) // 2, (size - pixels.height) // 2))
    return padded


def _seen_as_it_is(image: Image.Image, deep: HighBitDepth, value_range: ValueRange | None) -> bool:
    """Tell whether the high bytes of 16-bit colours are all that is wanted."""
    whole = value_range in (None, FULL) and (deep.colours or deep.pairs)
    return whole and not isinstance(image.info.get("transparency"), tuple)  # which is given in 16 bits


def _target(width: float, height: float, size: int, resize: str) -> tuple[int, int]:
    """Return the width and height in pixels that an image (its centre, for `crop`) is scaled to."""
    if resize != "pad":
        return size, size
    longer = max(width, height)
    return max(1, round(size * width / longer)), max(1, round(size * height / longer))


def _opaque(image: Image.Image) -> Image.Image:
    """Return a loaded image of 8 bits as grey or RGB, transparency laid over white."""
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
