"""Metadata of image files: headstart reads only the orientation, and damaged metadata never costs an image.

Many programs write text, colour profiles and EXIF data, and some damage them. headstart ignores unreadable metadata,
and decompresses none that could be large.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator

from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
TIFF = (b"II*\0", b"MM\0*")
MAX_CHUNKS = 1 << 18  # of a PNG; a PNG of 256 MB with the usual chunks of 8 kB has an eighth of that
MAX_TEXT_BYTES = 1 << 20  # when decompressed; Pillow's limit
ORIENTATION_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # texts that may contain the orientation

# TIFF tags that decide the pixels; all others are blanked in a file that cannot be opened with them.
PIXEL_TAGS = {
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339),
    *(292, 293, 332, 347, 529, 530, 531, 532),  # specific to some compressions and colour spaces
}

SAMPLES = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}  # by SampleFormat of TIFF

# Exceptions that Pillow raises for metadata that it cannot read; it documents none.
ERRORS = (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
METADATA_ERRORS = (*ERRORS, RuntimeError, struct.error, zlib.error)


def png_without_metadata(data: bytes) -> bytes:
    """Return a PNG with only the chunks that decide its pixels and orientation; the same bytes if it has no others.

    An animation keeps only its first image, which programs without animation show.

    Raises:
        ValueError: when it has so many chunks that reading them would hardly end.
    """
    kept: list[tuple[int, int]] = [(0, len(PNG))]
    for number, (name, start, end) in enumerate(_chunks(data)):
        if number == MAX_CHUNKS:
            raise ValueError(f"it has more than {MAX_CHUNKS:,} chunks")
        if name[0] & 0x20 and not _wanted(name, data, start, end):
            continue
        if kept[-1][1] == start:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((start, end))
    return data if kept == [(0, len(data))] else b"".join(data[start:end] for start, end in kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, start and end of each chunk of a PNG, up to the last complete one."""
    position = len(PNG)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            if not name[0] & 0x20:  # truncated pixels
                yield name, position, len(data)
            return
        yield name, position, end
        if name == b"IEND":
            return
        position = end


def _wanted(name: bytes, data: bytes, start: int, end: int) -> bool:
    """Return whether an optional chunk decides pixels or orientation, and is valid."""
    if name not in (b"tRNS", b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
        return False
    content = data[start + 8 : end - 4]
    if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(data[end - 4 : end], "big"):
        return False
    if name == b"eXIf":
        return len(content) <= MAX_TEXT_BYTES
    return name == b"tRNS" or _says_orientation(name, content)


def _says_orientation(name: bytes, content: bytes) -> bool:
    """Return whether a text may contain the orientation, and is not suspiciously large."""
    key, _, rest = content.partition(b"\0")
    if key not in ORIENTATION_TEXTS or len(content) > MAX_TEXT_BYTES:
        return False
    if name == b"zTXt":
        return _inflates(rest[1:])
    if name == b"iTXt" and rest[:1] == b"\x01":
        return _inflates(rest[2:].split(b"\0", 2)[-1])
    return True


def _inflates(packed: bytes) -> bool:
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(packed, MAX_TEXT_BYTES)
    except zlib.error:
        return False
    return not inflater.unconsumed_tail


def strip_metadata(data: bytes) -> bytes | None:
    """Return a JPEG or TIFF without the metadata that keeps it from being opened; None for other formats."""
    if data.startswith(JPEG):
        return _jpeg_without_metadata(data)
    return _tiff_without_metadata(data) if data.startswith(TIFF) else None


def _jpeg_without_metadata(data: bytes) -> bytes | None:
    """Return a JPEG without comments and application segments, except those that decide its colours or orientation."""
    parts, position = [JPEG], 2
    while data[position : position + 1] == b"\xff" and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == 0xDA or 0xD0 <= marker <= 0xD9 or marker == 0x01:
            return b"".join(parts) + data[position:]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        content = data[position + 4 : end]
        sound = {
            0xE0: content.startswith(b"JFIF\0") and len(content) >= 12,
            0xE1: content.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")),
            0xEE: content.startswith(b"Adobe") and len(content) >= 12,
        }
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or sound.get(marker):
            parts.append(data[position:end])
        position = max(end, position + 2)
    return None


def _tiff_without_metadata(data: bytes) -> bytes | None:
    """Return a TIFF in which all tags that do not decide its pixels are set to zero."""
    order = "<" if data.startswith(b"II") else ">"
    changed = bytearray(data)
    try:
        [start] = struct.unpack_from(f"{order}I", data, 4)
        [count] = struct.unpack_from(f"{order}H", data, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            [tag] = struct.unpack_from(f"{order}H", data, place)
            if tag not in PIXEL_TAGS:
                struct.pack_into(f"{order}HIHH", changed, place + 2, 3, 1, 0, 0)
    except struct.error:
        return None
    return bytes(changed)


def skip_exif_directories(image: TiffImagePlugin.TiffImageFile) -> None:
    """Keep Pillow from reading the EXIF and GPS data of an opened TIFF while it loads the pixels."""
    with contextlib.suppress(*METADATA_ERRORS):
        image.getexif()
    exif = image.getexif()  # the readable part
    for key in TiffTags.TAGS_V2_GROUPS:
        exif.pop(key, None)


def orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation of a loaded image, or None if it has no readable one."""
    try:
        # The image has to be loaded, because a PNG may store its EXIF data after the pixels.
        value = image.getexif().get(ExifTags.Base.Orientation)
    except METADATA_ERRORS:
        return None
    return value if isinstance(value, int) else None


def unsupported_tiff(data: bytes) -> str | None:
    """Describe a TIFF of a kind that Pillow does not support; None if the file is damaged."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    try:
        stream = io.BytesIO(data)
        stream.seek(tags.next)
        tags.load(stream)
        compression = tags.get(TiffImagePlugin.COMPRESSION, 1)
        if compression not in TiffImagePlugin.COMPRESSION_INFO:
            return (
                f"it is a TIFF of compression {compression}, which is not supported; save it with another compression, "
                "or none"
            )
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        kind = SAMPLES.get(max(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))), "of an unknown kind")
        photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
        return (
            f"it is a TIFF of {tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)} samples of {max(bits)} bits, {kind}, "
            f"photometric interpretation {photometric}, which is not supported; save it as grey or RGB of 8 or 16 bits"
        )
    except METADATA_ERRORS:
        return None
