"""Image files with more than 8 bits per value: reads their values, and scales a range of them to 8 bits.

Pillow reads 16-bit grey correctly, but only the high bytes of 16-bit colours, so that 12-bit colours in a 16-bit file
would be black. Decoding a second time with the other byte order gives the low bytes. In TIFF files, Pillow also
misreads planes of 16 bits, compressed big-endian values, signed bytes and white-is-zero; libtiff, when it returns
values in this machine's byte order, does not.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

ValueRange = tuple[float, float]  # the values that become 0 and 255

FULL_RANGE: ValueRange = (0.0, 65535.0)
STRIP_PIXELS = 1 << 20  # pixels that are converted at once
SAMPLED = 1 << 20  # values of a file from which `Values.bright` is estimated
BRIGHT = 0.99  # quantile of a file's values that `Values.bright` is

NATIVE_ORDER, OTHER_ORDER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
NATIVE_RAW_MODES = {  # from a raw mode with a byte order to the one for libtiff's values in native order
    "I;16S": "I;16NS",
    "I;16BS": "I;16NS",
    "I;32S": "I;32NS",
    "I;32BS": "I;32NS",
    "F;32F": "F;32NF",
    "F;32BF": "F;32NF",
}
COLOURS = ("RGB", "RGBA", "CMYK")


class Values(NamedTuple):
    """Statistics of the values in a file with more than 8 bits per value."""

    kind: str  # for messages: 12-bit, 16-bit, signed 16-bit, 32-bit, floating-point
    low: float  # the lowest value
    high: float  # the highest value
    bright: float  # the 99 % quantile
    whole: bool  # whether all values are integers


class HighBitDepth(NamedTuple):
    """How to read the values of an opened file."""

    kind: str
    dtype: str | None = None  # to reinterpret the decoded values as
    inverted: bool = False  # TIFF: zero is white
    low: str | None = None  # raw mode that decodes the low bytes of 16-bit colours
    pairs: bool = False  # grey and alpha, 16 bits each, as the four bands of the decoded image
    coarse: bool = False  # 16-bit colours of which Pillow can decode only the high bytes

    @property
    def colours(self) -> bool:
        """Whether the decoded image holds the high bytes of 16-bit colours."""
        return self.low is not None or self.coarse


def detect_high_bit_depth(image: Image.Image) -> HighBitDepth | None:
    """Return how to read an opened file, None for 8 bits per value, and correct how Pillow will decode it."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return None
    args = image.tile[0].args
    raw = args if isinstance(args, str) else str(args[0]) if args else ""
    if image.format == "PNG":
        if raw == "LA;16B":
            return HighBitDepth("16-bit", pairs=True)
        if raw in ("RGB;16B", "RGBA;16B"):
            return HighBitDepth("16-bit", low=f"{raw[:-1]}L")
        return HighBitDepth("16-bit") if image.mode.startswith("I") else None
    return _inspect_tiff(image, raw) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def _inspect_tiff(image: TiffImagePlugin.TiffImageFile, raw: str) -> HighBitDepth | None:
    tags = image.tag_v2
    bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    form = max(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,)))
    inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    if image.mode == "L" and form == 2:
        return HighBitDepth("signed 8-bit", "i1")
    if bits == 16 and image.mode in COLOURS:
        if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2:
            if image.tile[0].codec_name != "libtiff":
                _decode_by_libtiff(image, f"{image.mode};16N")
            return HighBitDepth("16-bit", coarse=True)
        if raw.startswith("RGBa"):
            return HighBitDepth("16-bit", coarse=True)
        order = {"L": "B", "B": "L", "N": OTHER_ORDER}[raw[-1]]
        return HighBitDepth("16-bit", low=f"{raw[:-1]}{order}")
    if not image.mode.startswith(("I", "F")):
        return None
    if image.tile[0].codec_name == "libtiff" and raw in NATIVE_RAW_MODES:
        _decode_by_libtiff(image, NATIVE_RAW_MODES[raw])
    if image.mode == "F":
        return HighBitDepth("floating-point", inverted=inverted)
    kind = f"signed {bits}-bit" if form == 2 else f"{bits}-bit"
    return HighBitDepth(kind, "u4" if bits == 32 and form == 1 else None, inverted)


def _decode_by_libtiff(image: TiffImagePlugin.TiffImageFile, raw: str) -> None:
    extents = (0, 0, *image._tile_size)
    image.tile = [ImageFile._Tile("libtiff", extents, 0, (raw, False, image.tag_v2.offset))]
    image.use_load_libtiff = True


def use_raw_mode(image: Image.Image, raw: str) -> None:
    """Make Pillow decode an opened file with another raw mode of the same size."""
    if isinstance(image, ImageFile.ImageFile):
        image.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
        ]


def measure_values(image: Image.Image, deep: HighBitDepth, low: Image.Image | None) -> Values:
    """Return statistics of the values of a loaded image.

    Args:
        image: the loaded image.
        deep: how to read it, from `detect_high_bit_depth`.
        low: the same image, loaded with the low bytes of its colours.

    Raises:
        ValueError: when the values cannot be used.
    """
    lowest, highest, whole, samples = np.inf, -np.inf, True, []
    step = max(1, image.width * image.height // SAMPLED)
    for _, values, _ in _strips(image, deep, low):
        lowest, highest = min(lowest, values.min()), max(highest, values.max())
        whole = whole and (values.dtype.kind != "f" or bool((values == np.rint(values)).all()))
        samples.append(values[..., :3].reshape(-1)[:: step * 3])
    if deep.coarse and highest < 32768:
        raise ValueError(
            "its 16-bit colours use less than half of their range, and only their high bytes can be read because they "
            "are stored in planes or premultiplied; save it with interleaved colours"
        )
    bright = float(np.quantile(np.concatenate(samples), BRIGHT, method="nearest"))
    return Values(deep.kind, float(lowest), float(highest), bright, whole)


def to_eight_bits(
    image: Image.Image, deep: HighBitDepth, low: Image.Image | None, value_range: ValueRange | None
) -> Image.Image:
    """Return a loaded image as 8-bit grey or RGB, composited over white.

    Args:
        image: the loaded image.
        deep: how to read it, from `detect_high_bit_depth`.
        low: the same image, loaded with the low bytes of its colours.
        value_range: the values that become 0 and 255; None for 0 to 65535.

    Raises:
        ValueError: when the values cannot be used, or need a range.
    """
    changed: Image.Image | None = None
    for top, values, alpha in _strips(image, deep, low):
        pixels = _scaled(values, value_range)
        strip = Image.fromarray(255 - pixels if deep.inverted else pixels, "CMYK" if image.mode == "CMYK" else None)
        strip = strip.convert("RGB") if strip.mode == "CMYK" else strip
        if alpha is not None:
            white = Image.new(strip.mode, strip.size, "white")
            strip = Image.composite(strip, white, Image.fromarray(alpha))
        if changed is None:
            if strip.height == image.height:
                return strip
            changed = Image.new(strip.mode, image.size)
        changed.paste(strip, (0, top))
    if changed is None:
        raise ValueError("it has no pixels")
    return changed


def _strips(
    image: Image.Image, deep: HighBitDepth, low: Image.Image | None
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Yield the first row of each strip, its values (rows, width[, channels]) and its opacity (rows, width)."""
    transparent = image.info.get("transparency")
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        values = np.asarray(image.crop(box))
        alpha = None
        if deep.pairs:
            values, alpha = (values[..., 0].astype(np.uint16) << 8) | values[..., 1], values[..., 2]
        elif deep.colours:
            if image.mode == "RGBA":
                values, alpha = values[..., :3], values[..., 3]
            high = values.astype(np.uint16)
            channels = values.shape[-1]
            values = high * 257 if low is None else (high << 8) | np.asarray(low.crop(box))[..., :channels]
        elif deep.dtype is not None:
            values = values.view(deep.dtype)
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("it holds values that are infinite or not a number")
        if isinstance(transparent, int | tuple) and image.format == "PNG":
            same = values == np.array(transparent)
            alpha = np.where(same.all(axis=-1) if same.ndim == 3 else same, 0, 255).astype(np.uint8)
        yield top, values, alpha


def _scaled(values: np.ndarray, value_range: ValueRange | None) -> np.ndarray:
    """Return values as uint8: values up to the low end of the range become 0, those from its high end on 255."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return _table(value_range or FULL_RANGE)[values]
    if value_range is None:
        if values.dtype.kind == "f":
            raise ValueError(
                "it holds floating-point values, whose range is unknown: dataset.value_range=[LOW,HIGH] sets it"
            )
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(
                "it holds whole numbers outside 0 to 65535: dataset.value_range=[LOW,HIGH] sets their range"
            )
    return _linear(values, value_range or FULL_RANGE)


def _linear(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    low, high = value_range
    return np.rint(np.clip((values.astype(np.float64) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def _table(value_range: ValueRange) -> np.ndarray:
    """Return the 8-bit value of each 16-bit value."""
    return _linear(np.arange(65536), value_range)
