"""Opens image files within the limits on size and memory, and explains why a file cannot be opened."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import FORMATS, identify_content
from headstart.data.files.high_bit_depth import HighBitDepth, detect_high_bit_depth
from headstart.data.files.limits import WEBP_BYTES, Limits, MemoryBudget, decoding_bytes, webp_size
from headstart.data.files.metadata import (
    PNG,
    png_without_metadata,
    skip_exif_directories,
    strip_metadata,
    unsupported_tiff,
)

Result = TypeVar("Result")

# Exceptions that Pillow's decoders raise on damaged files (it documents only OSError).
DECODE_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
# Pillow's messages on an unsupported TIFF begin so; the second one is just the number of a compression.
UNSUPPORTED_TIFF_ERRORS = ("unknown pixel mode", *"123456789")
ENDS_EARLY = "it ends early"
REASONS = {  # the beginning of Pillow's message, and its meaning
    "unpack_from requires": ENDS_EARLY,
    "unpack requires": ENDS_EARLY,
    "Truncated File Read": ENDS_EARLY,
    "index out of range": ENDS_EARLY,
    "not identified by this driver": "its header is missing or wrong",
    "cannot load this image": "it has no pixels",
    "decoder error": "its pixels are damaged",
    "unrecognized data stream contents": "its pixels are damaged",
    "broken data stream": "its pixels are damaged",
}
OUT_OF_MEMORY = ("out of memory error", "decoder error -9")  # in OSErrors of Pillow's decoders

# dataset.max_pixels is the limit. Pillow warns beyond a limit of its own, and refuses images with twice as many pixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# headstart reads only the first image of a file and little metadata.
warnings.filterwarnings("ignore", message="Image appears to be a malformed MPO file")
warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")

MIN_TILE_LIMIT = 1 << 20  # pixels; a small image may consist of one large tile
memory_budget = MemoryBudget()


class UnreadableImageError(HeadstartError):
    """A file that is not an image, or a damaged one."""

    def __init__(self, source: Path | bytes, reason: str) -> None:
        """Name the file in the message, and store the reason for lists of files."""
        self.reason = reason
        super().__init__(f"Expected an image that can be read. Received: {_name(source)} ({reason})")


class NoMemoryError(HeadstartError):
    """There is not enough memory to decode a file; the file itself may be fine."""

    def __init__(self, source: Path | bytes) -> None:
        """Name the file."""
        super().__init__(
            f"Not enough memory to decode {_name(source)}. Free some, run fewer jobs at once, or lower "
            "dataset.max_pixels"
        )


class OpenedImage(NamedTuple):
    """An image file whose header was read."""

    image: Image.Image
    data: bytes
    deep: HighBitDepth | None  # None for 8 bits per value
    drafted: Any  # Pillow's answer to `draft`: the reduced scale at which a JPEG will be decoded


def run_decoder(source: Path | bytes, decode: Callable[[], Result]) -> Result:
    """Call a function that decodes a file, and convert its errors to HeadstartErrors that name the file."""
    try:
        return decode()
    except MemoryError as error:
        raise NoMemoryError(source) from error
    except DECODE_ERRORS as error:
        if isinstance(error, OSError) and any(words in str(error) for words in OUT_OF_MEMORY):
            raise NoMemoryError(source) from error
        raise UnreadableImageError(source, _reason(error)) from error


@contextlib.contextmanager
def open_within_limits(
    data: bytes, limits: Limits, target_size: Callable[[int, int], tuple[int, int]]
) -> Iterator[OpenedImage]:
    """Open an image whose header is within the limits, and reserve the memory for decoding it.

    Args:
        data: content of the file.
        limits: the limits on its size.
        target_size: computes the width and height to which an image will be scaled from its own.
    """
    limits.expect_bytes(len(data))
    if not data:
        raise ValueError("the file is empty")
    if data.startswith(PNG):
        data = png_without_metadata(data)
    with contextlib.ExitStack() as stack:
        webp = webp_size(data)
        if webp:
            limits.expect_pixels(*webp)
            stack.enter_context(memory_budget.reserve(webp[0] * webp[1] * WEBP_BYTES))
        image, data = open_image(data)
        stack.callback(image.close)
        width, height = image.size
        limits.expect_pixels(width, height)
        if image.mode in ("P", "PA") and image.palette is None:
            raise ValueError("its palette is missing")
        drafted = None
        if image.format in ("JPEG", "MPO"):
            limits.expect_scans(data, width * height)
            drafted = image.draft(None, target_size(width, height))
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _expect_tiles(image, limits)
            skip_exif_directories(image)
        deep = detect_high_bit_depth(image)
        if not webp:
            stack.enter_context(memory_budget.reserve(decoding_bytes(image, (width, height), deep is not None)))
            stack.callback(image.close)  # frees the pixels before their memory is released to other threads
        yield OpenedImage(image, data, deep, drafted)


def open_image(data: bytes) -> tuple[Image.Image, bytes]:
    """Open an image; if damaged metadata prevents that, open it without its metadata."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS), data
    except DECODE_ERRORS as error:
        plain = strip_metadata(data)
        with contextlib.suppress(*DECODE_ERRORS):
            if plain is not None:
                return Image.open(io.BytesIO(plain), formats=FORMATS), plain
        if isinstance(error, UnidentifiedImageError):
            raise ValueError(_open_failure_reason(data)) from error
        raise


def _expect_tiles(image: TiffImagePlugin.TiffImageFile, limits: Limits) -> None:
    """Raise a ValueError for tiles that exceed the limit on pixels, whatever the size of the image."""
    sizes = [image.tag_v2.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
    if all(isinstance(size, int) for size in sizes) and sizes[0] * sizes[1] > max(limits.pixels, MIN_TILE_LIMIT):
        raise ValueError(f"its tiles of {sizes[0]} x {sizes[1]} pixels are over dataset.max_pixels={limits.pixels}")


def _open_failure_reason(data: bytes) -> str:
    """Return why none of Pillow's decoders accepts a file, which Pillow itself does not report."""
    for form in FORMATS:
        reader, accepts = Image.OPEN[form]
        if accepts is None or accepts(data[:16]) is not True:
            continue
        try:
            reader(io.BytesIO(data), "")
        except DECODE_ERRORS as error:
            unread = (
                unsupported_tiff(data) if form == "TIFF" and str(error).startswith(UNSUPPORTED_TIFF_ERRORS) else None
            )
            return unread or f"it begins as {form}, but cannot be decoded: {_reason(error)}"
    return identify_content(data)


def _reason(error: BaseException) -> str:
    """Return why a file could not be read, in plain words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = str(error) or ENDS_EARLY
    return next((reason for beginning, reason in REASONS.items() if message.startswith(beginning)), message)


def _name(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
