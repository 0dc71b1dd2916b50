"""Image files that Pillow does not write: PNG chunk by chunk, and TIFF of any kind of samples."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
UNSIGNED, SIGNED, FLOAT, COMPLEX = 1, 2, 3, 6
Chunk = tuple[bytes, bytes]


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(chunks: Iterable[Chunk]) -> bytes:
    """Return a PNG of chunks."""
    return PNG + b"".join(chunk(*one) for one in chunks)


def chunks_of(data: bytes) -> list[Chunk]:
    """Return the chunks of a PNG."""
    found, position = [], len(PNG)
    while position < len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        found.append((name, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def png16(values: np.ndarray, *more: Chunk) -> bytes:
    """Return a PNG of 16 bits a value.

    Args:
        values: grey (h, w), or (h, w, 2 to 4) for grey with alpha, RGB, RGBA.
        more: chunks before the pixels.
    """
    kind = 0 if values.ndim == 2 else {2: 4, 3: 2, 4: 6}[values.shape[2]]
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return png_of([(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


def tiff(
    values: np.ndarray,
    bits: int = 16,
    form: int = UNSIGNED,
    photometric: int = 1,
    order: str = "<",
    planar: bool = False,
    deflate: bool = False,
    more: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """Return a TIFF of one strip, or one for each plane.

    Args:
        values: (h, w) or (h, w, samples).
        bits: of a sample, a multiple of 8.
        form: of the samples.
        photometric: 0 white is zero, 1 black is zero, 2 RGB.
        order: of the bytes, as NumPy names it.
        planar: whether the samples lie in planes of their own.
        deflate: whether they are compressed.
        more: tags: number, type (3 for 2 bytes, 4 for 4), values.
    """
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    stored = values.astype(np.dtype(f"{order}{'uif..c'[form - 1]}{bits // 8}"))
    planes = [stored[..., number].tobytes() for number in range(samples)] if planar else [stored.tobytes()]
    planes = [zlib.compress(plane) for plane in planes] if deflate else planes
    tags = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * samples),
        (259, 3, [8 if deflate else 1]),
        (262, 3, [photometric]),
        (273, 4, [0] * len(planes)),
        (277, 3, [samples]),
        (278, 4, [height]),
        (279, 4, [len(plane) for plane in planes]),
        (284, 3, [2 if planar else 1]),
        (339, 3, [form] * samples),
        *more,
    ]
    return tiff_of(tags, planes, order)


def tiff_of(tags: Sequence[tuple[int, int, Sequence[int]]], planes: Sequence[bytes], order: str = "<") -> bytes:
    """Return a TIFF of tags and strips; the offsets of the strips (273) are filled in."""
    letters = {1: "B", 3: "H", 4: "I"}
    behind = 8 + 2 + 12 * len(tags) + 4

    def packed(kind: int, numbers: Sequence[int]) -> bytes:
        return struct.pack(f"{order}{len(numbers)}{letters[kind]}", *numbers)

    start = behind + sum(size for _, kind, numbers in tags if (size := len(packed(kind, numbers))) > 4)
    offsets = [start + sum(len(plane) for plane in planes[:number]) for number in range(len(planes))]
    entries, outside = b"", b""
    for tag, kind, numbers in sorted(tags):
        content = packed(kind, offsets if tag == 273 else numbers)
        if len(content) > 4:
            place = struct.pack(f"{order}I", behind + len(outside))
            outside += content
        else:
            place = content.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return (
        head + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0) + outside + b"".join(planes)
    )
