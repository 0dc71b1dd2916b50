"""PNGs with other chunks and TIFFs of other samples than readers expect, by the hundred, seeded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from image_files import PNG, Chunk, chunk, chunks_of, png16, png_of, tiff_of
from PIL import Image, PngImagePlugin

Generator = np.random.Generator
SPECIAL_FILES = (  # bits, samples, format and photometric interpretation of TIFFs that people have
    (8, 1, 1, 0),
    (8, 3, 1, 2),
    (8, 1, 2, 1),
    (12, 1, 1, 1),
    (16, 1, 1, 1),
    (16, 1, 1, 0),
    (16, 1, 2, 1),
    (16, 3, 1, 2),
    (16, 4, 1, 2),
    (16, 4, 1, 5),
    (32, 1, 1, 1),
    (32, 1, 2, 1),
    (32, 1, 3, 1),
    (32, 1, 3, 0),
    (64, 1, 3, 1),
    (32, 3, 3, 2),
)
CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def pngs(generator: Generator) -> list[list[Chunk]]:
    """Return the chunks of sound PNGs of every kind, with all sorts of metadata."""
    pixels = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((64, 48))
    alpha = pixels.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(pixels.size))
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "words " * 40)
    said.add_text("Raw profile type exif", "\nexif\n      20\n" + b"Exif\0\0II*\0\x08\0\0\0".hex(), zip=True)
    said.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="1"/>', zip=True)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    found = []
    for image in (pixels, pixels.convert("L"), pixels.convert("1"), pixels.quantize(16), alpha):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", pnginfo=said, exif=exif, dpi=(72, 72), icc_profile=b"profile" * 100)
        found.append(chunks_of(buffer.getvalue()))
    buffer = io.BytesIO()
    pixels.save(buffer, "PNG", save_all=True, append_images=[pixels.rotate(90)], exif=exif)
    found.append(chunks_of(buffer.getvalue()))
    deep = generator.integers(0, 4096, (10, 12, 4))
    shapes = (deep[..., 0], deep[..., :2], deep[..., :3], deep)
    found += [chunks_of(png16(values, (b"gAMA", struct.pack(">I", 45455)))) for values in shapes]
    return found


def place(chunks: list[Chunk], generator: Generator, ancillary: bool) -> int:
    """Return the position of one chunk that stands beside the pixels, or of one that decides them."""
    places = [
        number for number, (name, _) in enumerate(chunks) if (name not in CRITICAL and name != b"tRNS") == ancillary
    ]
    return int(generator.choice(places))


def ancillary(chunks: list[Chunk], generator: Generator) -> bytes:
    """Damage what stands beside the pixels: checksum, content, number, place."""
    chosen = place(chunks, generator, ancillary=True)
    name, content = chunks[chosen]
    change = int(generator.integers(5))
    if change == 0:  # its checksum
        damaged = bytearray(chunk(name, content))
        damaged[-1] ^= 1 << int(generator.integers(8))
        parts = [chunk(*one) for one in chunks]
        parts[chosen] = bytes(damaged)
        return PNG + b"".join(parts)
    if change == 1:  # its content, with the right checksum
        chunks[chosen] = (name, generator.integers(0, 256, int(generator.integers(0, 300)), dtype=np.uint8).tobytes())
    elif change == 2:
        chunks.insert(chosen, (name, content))
    elif change == 3:
        del chunks[chosen]
    else:
        chunks.insert(int(generator.integers(1, chosen + 1)), chunks.pop(chosen))
    return png_of(chunks)


def metadata(chunks: list[Chunk], generator: Generator) -> bytes:
    """Put text, a profile or EXIF data before the pixels that no reader likes."""
    large, noise = zlib.compress(bytes(2_000_000)), generator.integers(0, 256, 200, dtype=np.uint8).tobytes()
    circle = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, 4, 1, 8) + struct.pack("<I", 8)
    bad = [
        (b"zTXt", b"Comment\0\0" + large),
        (b"zTXt", b"Raw profile type exif\0\0" + large),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"no numbers\n\n\nxyz")),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + noise),
        (b"iCCP", b"a\0\0" + large),
        (b"iCCP", b"a\0\7" + noise),
        (b"iCCP", b""),
        (b"eXIf", noise),
        (b"eXIf", circle),
        (b"eXIf", b"II*\0\xff\xff\xff\x7f"),
        (b"tEXt", noise),
        (b"pHYs", b"\0"),
        (b"gAMA", b""),
        (b"cHRM", noise[:5]),
        (b"sRGB", b""),
        (b"acTL", noise[:8]),
        (b"fcTL", noise[:26]),
        (b"prVt", noise),
    ]
    chunks.insert(int(generator.integers(1, 3)), bad[int(generator.integers(len(bad)))])
    return png_of(chunks)


def critical(chunks: list[Chunk], generator: Generator) -> bytes:
    """Change what the pixels need: number, order, lengths, checksums, the fields of the header."""
    change = int(generator.integers(6))
    if change == 0:
        generator.shuffle(chunks)  # type: ignore[arg-type]
        return png_of(chunks)
    chosen = place(chunks, generator, ancillary=False)
    name, content = chunks[chosen]
    if change == 1:
        chunks.insert(int(generator.integers(len(chunks))), (name, content))
    elif change == 2:
        del chunks[chosen]
    elif change == 3:  # the header, with the right checksum
        header = bytearray(chunks[0][1])
        header[int(generator.integers(len(header)))] = int(generator.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]))
        chunks[0] = (b"IHDR", bytes(header))
    elif change == 4:
        chunks[chosen] = (name, content[: int(generator.integers(len(content) + 1))])
    else:
        parts = [bytearray(chunk(*one)) for one in chunks]
        parts[chosen][int(generator.choice([0, 1, 2, 3, -1, -2]))] ^= 1 << int(generator.integers(8))
        return PNG + b"".join(parts)
    return png_of(chunks)


def samples(generator: Generator) -> bytes:
    """Return a TIFF of any bits, kind and number of samples, whole or damaged, which few readers read."""
    choose = generator.choice
    order, planar = str(choose(["<", ">"])), int(choose([1, 1, 1, 2]))
    bits, count, form, photometric = [int(part) for part in choose(SPECIAL_FILES)]
    if generator.integers(3) == 0:  # something that hardly anybody writes
        bits, count = int(choose([1, 2, 4, 12, 24, 48, 64])), int(choose([1, 2, 3, 4, 5]))
        form, photometric = int(choose([1, 2, 3, 4, 5, 6])), int(choose([0, 1, 2, 3, 5, 6, 8]))
    width, height = (int(side) for side in generator.integers(1, 40, 2))
    each = -(-width * bits * (count if planar == 1 else 1) // 8) * height
    planes = [generator.bytes(each) for _ in range(count if planar == 2 else 1)]
    compression = int(choose([1, 1, 1, 8, 8, 8, 5, 7, 32773, 34925]))
    if compression == 8:
        planes = [zlib.compress(plane) for plane in planes]
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [compression]),
        262: (3, [photometric]),
        266: (3, [int(choose([1, 1, 1, 1, 2]))]),
        273: (4, [0] * len(planes)),
        277: (3, [count]),
        278: (4, [height]),
        279: (4, [len(plane) for plane in planes]),
        282: (3, [int(choose([0, 72]))]),
        284: (3, [planar]),
        317: (3, [int(choose([1, 1, 1, 2, 3]))]),
        339: (3, [form] * count),
    }
    if count in (2, 4) or generator.integers(9) == 0:
        tags[338] = (3, [int(choose([0, 1, 2]))])
    if generator.integers(4) == 0:
        broken = int(choose(list(tags)))
        if generator.integers(2):
            del tags[broken]
        else:
            tags[broken] = (int(choose([1, 3, 4])), [int(choose([0, 1, 3, 200]))] * int(choose([1, 1, 2, 7])))
    if generator.integers(4) == 0:  # what does not decide the pixels
        tags[int(choose([34665, 34853, 700, 34675, 270, 274, 33432]))] = (4, [int(choose([0, 8, 100, 0x7FFFFFFF]))])
    data = tiff_of([(tag, *rest) for tag, rest in tags.items()], planes, order)
    return data[: int(generator.integers(8, len(data)))] if generator.integers(6) == 0 else data


def mutated(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield so many files, each with a name that says what was done."""
    generator = np.random.default_rng(seed)
    sound = pngs(generator)
    for number in range(count):
        change = (ancillary, metadata, critical, critical, None)[number % 5]
        if change is None:
            yield f"{number:04}_samples.tif", samples(generator)
        else:
            yield f"{number:04}_{change.__name__}.png", change(list(sound[number // 5 % len(sound)]), generator)


def write_mutated(directory: Path, count: int, seed: int = 0) -> dict[str, bytes]:
    """Write such files into two classes, and return them by their paths below the directory."""
    written = {}
    for name in ("cat", "dog"):
        (directory / name).mkdir(parents=True)
    for number, (file, data) in enumerate(mutated(count, seed)):
        path = f"{('cat', 'dog')[number % 2]}/{file}"
        (directory / path).write_bytes(data)
        written[path] = data
    return written
