"""Malformed image files by the hundred, seeded; as a program it reads a dataset of them and says what that took.

`python tests/faults/malformed.py ROOT CACHE` prints what the check of the dataset found, how long each file took, and
how much memory the process had at most.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "BMP": "bmp", "WEBP": "webp", "TIFF": "tif"}


def originals(generator: np.random.Generator) -> list[tuple[str, bytes]]:
    """Return sound files of every format and of most ways to encode it, as (format, content)."""
    pixels = Image.fromarray(generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)).resize((160, 120))
    alpha = pixels.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(pixels.size))
    frames = {"save_all": True, "append_images": [pixels.rotate(90), pixels.convert("L")]}
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    sixteen = Image.fromarray(np.asarray(pixels.convert("L")).astype(np.uint16) * 257)
    saved = [
        (pixels, "JPEG", {"quality": 90}),
        (pixels, "JPEG", {"progressive": True, "exif": exif}),
        (pixels.convert("CMYK"), "JPEG", {}),
        (pixels, "PNG", {"exif": exif}),
        (pixels.quantize(16), "PNG", {"transparency": 3}),
        (sixteen, "PNG", {}),
        (alpha, "PNG", {}),
        (pixels, "PNG", frames),
        (pixels, "GIF", frames),
        (pixels, "BMP", {}),
        (pixels.convert("1"), "BMP", {}),
        (pixels, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True, "exif": exif}),
        (pixels, "WEBP", frames),
        (pixels, "TIFF", {"exif": exif}),
        (pixels, "TIFF", {"compression": "tiff_lzw"}),
        (pixels, "TIFF", {"compression": "jpeg"}),
        (pixels.convert("1"), "TIFF", {"compression": "group4"}),
        (sixteen, "TIFF", frames),
    ]
    found = []
    for image, form, options in saved:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        found.append((form, buffer.getvalue()))
    return found


def truncated(data: bytes, generator: np.random.Generator) -> bytes:
    return data[: int(generator.integers(1, len(data)))]


def flipped_in_the_header(data: bytes, generator: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for position in generator.integers(0, min(len(data), 64), int(generator.integers(1, 5))):
        damaged[position] ^= 1 << int(generator.integers(8))
    return bytes(damaged)


def flipped_anywhere(data: bytes, generator: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    for position in generator.integers(0, len(data), int(generator.integers(1, 40))):
        damaged[position] = int(generator.integers(256))
    return bytes(damaged)


def other_numbers(data: bytes, generator: np.random.Generator) -> bytes:
    """Put an extreme number where a length, a size or an offset may stand."""
    damaged = bytearray(data)
    number = int(generator.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 70_000, 1 << 20]))
    position = int(generator.integers(0, min(len(data) - 4, 200)))
    order = ">" if generator.integers(2) else "<"
    if generator.integers(2):
        damaged[position : position + 4] = struct.pack(f"{order}I", number)
    else:
        damaged[position : position + 2] = struct.pack(f"{order}H", number & 0xFFFF)
    return bytes(damaged)


def with_a_hole(data: bytes, generator: np.random.Generator) -> bytes:
    start, end = sorted(generator.integers(0, len(data), 2))
    return data[:start] + data[end:]


def with_zeros(data: bytes, generator: np.random.Generator) -> bytes:
    start = int(generator.integers(0, len(data)))
    length = int(generator.integers(1, 400))
    return data[:start] + bytes(length) + data[start + length :]


def twice(data: bytes, generator: np.random.Generator) -> bytes:
    middle = int(generator.integers(1, len(data)))
    return data[:middle] + data


def behind_something(data: bytes, generator: np.random.Generator) -> bytes:
    """Make a polyglot: what begins like a page, an archive, a script or a program, with the picture behind."""
    beginnings = [
        b"<html><script>alert(1)</script>",
        b"PK\x03\x04",
        b"#!/bin/sh\n",
        b"%PDF-1.7\n",
        b"\x7fELF",
        b"GIF89a",
    ]
    return beginnings[int(generator.integers(len(beginnings)))] + data


CHANGES: list[Callable[[bytes, np.random.Generator], bytes]] = [
    truncated,
    flipped_in_the_header,
    flipped_anywhere,
    other_numbers,
    with_a_hole,
    with_zeros,
    twice,
    behind_something,
]


def png(width: int, height: int, kind: int, row: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of equal rows, with more chunks before its pixels.

    Args:
        width: in pixels.
        height: in pixels.
        kind: 0 grey, 2 RGB, 6 RGBA, of 8 bits.
        row: its first byte is the filter; without any the pixels are missing.
        more: name and content of each chunk.
    """
    compress = zlib.compressobj(1)
    parts = [compress.compress(row * min(64, height - top)) for top in range(0, height if row else 0, 64)]
    parts.append(compress.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", b"".join(parts)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def jpeg_of_scans(scans: int, side: int = 8000) -> bytes:
    """Return a progressive JPEG of so many scans over all of its pixels, each a few bytes long."""
    buffer = io.BytesIO()
    Image.new("L", (side, side)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def bombs() -> dict[str, bytes]:
    """Return small files that would become large, or would take long, each by its name; none of them may be read."""
    gif = io.BytesIO()
    Image.new("L", (8, 8)).save(gif, "GIF")
    wide_gif = bytearray(gif.getvalue())
    wide_gif[6:10] = struct.pack("<HH", 65535, 65535)
    tiff = io.BytesIO()
    Image.new("L", (8, 8)).save(tiff, "TIFF")
    return {
        "png_pixels.png": png(12_000, 10_000, 0, bytes(12_001)),
        "png_header.png": png(2_000_000_000, 2_000_000_000, 0, b""),
        "png_chunks.png": png(8, 8, 0, bytes(9), *[(b"tEXt", b"a\0b")] * 300_000),
        "jpeg_scans.jpg": jpeg_of_scans(400),
        "gif_screen.gif": bytes(wide_gif),
        "tiff_size.tif": tiff.getvalue().replace(
            struct.pack("<HHIHH", 256, 4, 1, 8, 0), struct.pack("<HHII", 256, 4, 1, 1 << 30)
        ),
        "no_bytes.png": b"",
        "zeros.jpg": bytes(5000),
        "words.webp": b"this is no picture\n" * 50,
    }


def bombs_beside_the_pixels() -> dict[str, bytes]:
    """Return PNGs with text and profiles that would become large, each by its name: they are read without those."""
    text, megabyte = zlib.compress(bytes(8_000_000), 9), zlib.compress(bytes(1_000_000), 9)
    return {
        "text.png": png(8, 8, 0, bytes(9), (b"zTXt", b"Comment\0\0" + text)),
        "exif.png": png(8, 8, 0, bytes(9), (b"zTXt", b"Raw profile type exif\0\0" + text)),
        "international.png": png(8, 8, 0, bytes(9), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + text)),
        "texts.png": png(8, 8, 0, bytes(9), *[(b"zTXt", b"a\0\0" + megabyte)] * 80),
        "profile.png": png(8, 8, 0, bytes(9), (b"iCCP", b"a\0\0" + text)),
    }


def write_malformed(directory: Path, count: int, seed: int = 0) -> list[Path]:
    """Write malformed images into two classes, beside six sound ones in each, and return the malformed ones.

    Args:
        directory: gets the classes cat and dog.
        count: how many, beside the bombs.
        seed: of the changes.
    """
    generator = np.random.default_rng(seed)
    sound = originals(generator)
    written = []
    for name in ("cat", "dog"):
        (directory / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(
                directory / name / f"sound_{number}.png"
            )
    contents: list[tuple[str, bytes]] = list(bombs().items())
    for number in range(count):
        form, data = sound[number % len(sound)]
        change = CHANGES[int(generator.integers(len(CHANGES)))]
        # One in five has the suffix of another format.
        suffix = SUFFIXES[form] if generator.integers(5) else str(generator.choice(sorted(SUFFIXES.values())))
        contents.append((f"{number:04}_{change.__name__}.{suffix}", change(data, generator)))
    for number, (name, data) in enumerate(contents):
        file = directory / ("cat", "dog")[number % 2] / name
        file.write_bytes(data)
        written.append(file)
    return written


def peak_megabytes() -> float:
    """Return the most memory that this process had."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says on Linux counts the process from which this one was forked as well
        [kilobytes] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(kilobytes) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(root: Path, cache: Path) -> None:
    """Check the dataset as a run does, then read every file by itself, and print what was found."""
    from headstart.config import DatasetConfig
    from headstart.data.files.checks import check_images
    from headstart.data.files.images import UnreadableImageError, load_image
    from headstart.data.load import load_index

    index = load_index(DatasetConfig(name="folder", source="folder", root=str(root)), cache)
    started = time.perf_counter()
    # All of 16 bits: the range of what damaged files hold cannot be told.
    checked, report = check_images(index, "skip", cache, (0, 65535))
    whole = time.perf_counter() - started
    refused, seconds = [], {}
    for position, path in enumerate(index.paths):
        started = time.perf_counter()
        try:
            pixels = load_image(index.file(position), 32, "pad", index.limits, checked.value_range)
            if pixels.shape != (32, 32, 3) or pixels.dtype != np.uint8:
                raise ValueError(f"Expected 32 x 32 RGB pixels of {path}. Received: {pixels.shape} {pixels.dtype}")
        except UnreadableImageError as error:
            refused.append([path, error.reason])
        seconds[path] = time.perf_counter() - started
    found = {
        "kept": list(checked.paths),
        "unreadable": report.unreadable,
        "refused": refused,
        "seconds": seconds,
        "whole": whole,
        "peak_mb": peak_megabytes(),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
