"""Image files are opened within their limits and the memory that is free; where that fails, with the true reason."""

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
from headstart.data.files.formats import FORMATS, name_content
from headstart.data.files.high_bit_depth import HighBitDepth, inspect
from headstart.data.files.limits import WEBP_BYTES, Limits, Room, bytes_held, webp_size
from headstart.data.files.metadata import PNG, forget_subdirectories, plainer, png_without_metadata, unread_tiff

Result = TypeVar("Result")

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
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
UNREAD_TIFF = ("unknown pixel mode", *"123456789")  # what Pillow says of it: nothing, or the number of a compression
ENDS_EARLY = "it ends early"
REASONS = {  # what Pillow says, and what it means
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
OUT_OF_MEMORY = ("out of memory error", "decoder error -9")  # how Pillow's decoders say it, as an OSError

# The limit is ours: `dataset.max_pixels`. Pillow warns from its own on, and refuses what has twice as many.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Of several images in one file only the first is of interest, and of metadata hardly any.
warnings.filterwarnings("ignore", message="Image appears to be a malformed MPO file")
warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")

SMALLEST_TILE = 1 << 20  # pixels; a small image may lie in one large tile
room = Room()


class UnreadableImageError(HeadstartError):
    """A file that is no image, or a damaged one."""

    def __init__(self, source: Path | bytes, reason: str) -> None:
        """Name the file, and keep the reason by itself for lists of files."""
        self.reason = reason
        super().__init__(f"Expected an image that can be read. Received: {_name(source)} ({reason})")


class NoMemoryError(HeadstartError):
    """There is not enough memory to decode a file, which says nothing about the file."""

    def __init__(self, source: Path | bytes) -> None:
        """Name the file."""
        super().__init__(
            f"Not enough memory to decode {_name(source)}. Free some, run fewer jobs at once, or lower "
            "dataset.max_pixels"
        )


class Opened(NamedTuple):
    """A file whose header was read."""

    image: Image.Image
    data: bytes
    deep: HighBitDepth | None  # None: 8 bits a value
    drafted: Any  # what Pillow says of the reduced scale at which a JPEG will be decoded


def naming_failures(source: Path | bytes, decode: Callable[[], Result]) -> Result:
    """Return what a function returns, and raise what a file is to blame for with its name."""
    try:
        return decode()
    except MemoryError as error:
        raise NoMemoryError(source) from error
    except DECODE_ERRORS as error:
        if isinstance(error, OSError) and any(words in str(error) for words in OUT_OF_MEMORY):
            raise NoMemoryError(source) from error
        raise UnreadableImageError(source, _reason(error)) from error


@contextlib.contextmanager
def opened(data: bytes, limits: Limits, wanted: Callable[[int, int], tuple[int, int]]) -> Iterator[Opened]:
    """Open a file's bytes, once its header has been found to be within the limits, and take the memory it needs.

    Args:
        data: of the file.
        limits: what it may ask for.
        wanted: from the width and height of an image to those that it is scaled to.
    """
    limits.expect_bytes(len(data))
    if not data:
        raise ValueError("the file is empty")
    if data.startswith(PNG):
        data = png_without_metadata(data)
    with contextlib.ExitStack() as held:
        webp = webp_size(data)
        if webp:
            limits.expect_pixels(*webp)
            held.enter_context(room.taken(webp[0] * webp[1] * WEBP_BYTES))
        image, data = open_image(data)
        held.callback(image.close)
        width, height = image.size
        limits.expect_pixels(width, height)
        if image.mode in ("P", "PA") and image.palette is None:
            raise ValueError("its palette is missing")
        drafted = None
        if image.format in ("JPEG", "MPO"):
            limits.expect_scans(data, width * height)
            drafted = image.draft(None, wanted(width, height))
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            _expect_tiles(image, limits)
            forget_subdirectories(image)
        deep = inspect(image)
        if not webp:
            held.enter_context(room.taken(bytes_held(image, (width, height), deep is not None)))
            held.callback(image.close)  # its pixels are freed before others take their room
        yield Opened(image, data, deep, drafted)


def open_image(data: bytes) -> tuple[Image.Image, bytes]:
    """Open a file's bytes; where that fails for its metadata, without them."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS), data
    except DECODE_ERRORS as error:
        plain = plainer(data)
        with contextlib.suppress(*DECODE_ERRORS):
            if plain is not None:
                return Image.open(io.BytesIO(plain), formats=FORMATS), plain
        if isinstance(error, UnidentifiedImageError):
            raise ValueError(_why_not_opened(data)) from error
        raise


def _expect_tiles(image: TiffImagePlugin.TiffImageFile, limits: Limits) -> None:
    """Raise a ValueError for tiles that are larger than an image may be: no memory would be enough for them."""
    sizes = [image.tag_v2.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
    if all(isinstance(size, int) for size in sizes) and sizes[0] * sizes[1] > max(limits.pixels, SMALLEST_TILE):
        raise ValueError(f"its tiles of {sizes[0]} x {sizes[1]} pixels are over dataset.max_pixels={limits.pixels}")


def _why_not_opened(data: bytes) -> str:
    """Return why no reader takes a file, which Pillow keeps to itself."""
    for form in FORMATS:
        reader, accepts = Image.OPEN[form]
        if accepts is None or accepts(data[:16]) is not True:
            continue
        try:
            reader(io.BytesIO(data), "")
        except DECODE_ERRORS as error:
            unread = unread_tiff(data) if form == "TIFF" and str(error).startswith(UNREAD_TIFF) else None
            return unread or f"it begins as {form}, but cannot be decoded: {_reason(error)}"
    return name_content(data)


def _reason(error: BaseException) -> str:
    """Return why a file could not be read, for people."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = str(error) or ENDS_EARLY
    return next((reason for beginning, reason in REASONS.items() if said.startswith(beginning)), said)


def _name(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
