"""Damaged metadata never costs an image, orientation is applied, and reported reasons are correct."""

from __future__ import annotations

import errno
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures
from image_files import PNG, Chunk, chunk, chunks_of, png16, png_of, tiff
from PIL import Image

from headstart.config import DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.files import checks, opening
from headstart.data.files.checks import check_images
from headstart.data.files.images import NoMemoryError, UnreadableImageError, load_image
from headstart.data.files.metadata import png_without_metadata
from headstart.data.index import ImageIndex
from headstart.data.load import load_index

NOISE = bytes(range(7, 250))
EXIF = Image.Exif()
EXIF[0x0112] = 6
SIDEWAYS = EXIF.tobytes().removeprefix(b"Exif\0\0")
CIRCLE = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 34665, 4, 1, 8, 8)
MEGABYTES = zlib.compress(bytes(2_000_000))


def picture() -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 30))
    return Image.fromarray((np.stack([x, y, (1 - x) * y], axis=-1) * 255).astype(np.uint8))


def encoded(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture().save(buffer, form, **options)
    return buffer.getvalue()


def png_with(*more: Chunk, behind: bool = False) -> bytes:
    chunks = chunks_of(encoded("PNG"))
    place = len(chunks) - 1 if behind else 1
    return png_of([*chunks[:place], *more, *chunks[place:]])


def pixels(data: bytes) -> list:
    return load_image(data, 24, "stretch").tolist()


BAD_CHUNKS: dict[str, Chunk] = {
    "megabytes of text": (b"zTXt", b"Comment\0\0" + MEGABYTES),
    "megabytes of EXIF text": (b"zTXt", b"Raw profile type exif\0\0" + MEGABYTES),
    "EXIF text that is none": (b"tEXt", b"Raw profile type exif\0a\nb\nc\nno numbers"),
    "a large profile": (b"iCCP", b"profile\0\0" + MEGABYTES),
    "a damaged profile": (b"iCCP", b"profile\0\7" + NOISE),
    "an empty profile": (b"iCCP", b""),
    "damaged EXIF": (b"eXIf", NOISE),
    "EXIF in circles": (b"eXIf", CIRCLE),
    "EXIF that points away": (b"eXIf", b"II*\0\xff\xff\xff\x7f"),
    "damaged text": (b"iTXt", NOISE),
    "a short resolution": (b"pHYs", b"\0"),
    "a short gamma": (b"gAMA", b""),
    "damaged animation": (b"acTL", b"\xff\xff\xff\xff"),
    "a private chunk": (b"prVt", NOISE),
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
def test_a_png_is_read_whatever_its_metadata(name: str, behind: bool) -> None:
    assert pixels(png_with(BAD_CHUNKS[name], behind=behind)) == pixels(encoded("PNG"))


@pytest.mark.parametrize("name", [b"tEXt", b"iCCP", b"eXIf", b"gAMA", b"tRNS"])
def test_a_wrong_checksum_of_metadata_costs_no_image(name: bytes) -> None:
    chunks = chunks_of(encoded("PNG"))
    damaged = bytearray(chunk(name, b"a\0" + bytes(8)))
    damaged[-1] ^= 1
    data = PNG + chunk(*chunks[0]) + damaged + b"".join(chunk(*one) for one in chunks[1:])
    assert pixels(data) == pixels(encoded("PNG"))


def test_a_png_truncated_in_its_last_text_is_read() -> None:
    assert pixels(png_with((b"tEXt", b"Comment\0" + bytes(500)), behind=True)[:-300]) == pixels(encoded("PNG"))


@pytest.mark.parametrize(
    "orientation",
    [
        (b"eXIf", SIDEWAYS),
        (
            b"zTXt",
            b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 32\n" + (b"Exif\0\0" + SIDEWAYS).hex().encode()),
        ),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<x tiff:Orientation="6"/>')),
        (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
    ],
    ids=["eXIf", "zTXt", "compressed XMP", "XMP"],
)
def test_a_readable_orientation_is_applied_despite_damaged_metadata(orientation: Chunk) -> None:
    buffer = io.BytesIO()
    picture().transpose(Image.Transpose.ROTATE_270).save(buffer, "PNG")
    assert pixels(png_with(BAD_CHUNKS["megabytes of text"], orientation)) == pixels(buffer.getvalue())
    assert pixels(png_with(orientation, BAD_CHUNKS["a large profile"], behind=True)) == pixels(buffer.getvalue())


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize(
    "bad",
    [
        segment(0xE1, b"Exif\0\0" + NOISE),
        segment(0xE1, b"Exif\0\0" + CIRCLE),
        segment(0xE0, b"JFIF\0"),
        segment(0xE2, b"MPF\0" + NOISE),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xED, b"Photoshop 3.0\0008BIM\x03\xed"),
        segment(0xEE, b"Adobe"),
        b"".join(segment(0xE5, bytes(60_000)) for _ in range(40)),
        segment(0xFE, NOISE),
    ],
    ids=["EXIF", "EXIF in circles", "JFIF", "MPF", "profile", "Photoshop", "Adobe", "megabytes", "comment"],
)
def test_a_jpeg_is_read_whatever_its_metadata(bad: bytes) -> None:
    data = encoded("JPEG")
    assert pixels(data[:2] + bad + data[2:]) == pixels(data)


@pytest.mark.parametrize(
    "bad",
    [
        (34665, 4, [0x7FFFFFFF]),  # EXIF
        (34665, 4, [8]),
        (34853, 4, [3]),  # GPS
        (282, 1, [7, 7, 7, 7, 7]),  # resolution
        (700, 4, [9]),  # XMP
        (34675, 4, [9]),  # profile
        (274, 3, [77]),  # orientation
        (270, 4, [5]),
    ],
)
def test_a_tiff_is_read_whatever_its_other_tags(bad: tuple[int, int, list[int]]) -> None:
    values = np.asarray(picture())
    for deflate in (False, True):
        data = tiff(values, bits=8, photometric=2, deflate=deflate, more=[bad])
        assert pixels(data) == pixels(tiff(values, bits=8, photometric=2))


def test_a_webp_is_read_whatever_its_exif() -> None:
    assert pixels(encoded("WEBP", lossless=True, exif=NOISE)) == pixels(encoded("WEBP", lossless=True))


def test_a_png_without_metadata_is_not_copied() -> None:
    plain = png_of([one for one in chunks_of(encoded("PNG")) if one[0] in (b"IHDR", b"IDAT", b"IEND")])
    assert png_without_metadata(plain) is plain


# Reasons

NO_COMPRESSION, COMPRESSION_9 = (struct.pack("<HHIH", 259, 3, 1, number) for number in (1, 9))


def header(bits: int, kind: int) -> bytes:
    return struct.pack(">IIBBBBB", 4, 4, bits, kind, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded("PNG")[:60], "truncated"),
        (encoded("PNG")[:20], r"\(it ends early\)"),
        (encoded("PNG")[:33], "it begins as PNG, but cannot be decoded: it ends early"),
        (encoded("JPEG")[:300], r"\(it ends early\)"),
        (encoded("TIFF")[:60], "it begins as TIFF, but cannot be decoded"),
        (png_of([(b"IHDR", header(8, 3)), (b"IDAT", b""), (b"IEND", b"")]), "its palette is missing"),
        (png_of([(b"IHDR", header(3, 2)), (b"IDAT", b""), (b"IEND", b"")]), "its header is missing or wrong"),
        (png_of([chunks_of(encoded("PNG"))[0], (b"IEND", b"")]), "it has no pixels"),
        (tiff(np.zeros((4, 4)), 64), "TIFF of 1 samples of 64 bits, unsigned"),
        (tiff(np.zeros((4, 4, 3)), 32, photometric=2), "TIFF of 3 samples of 32 bits"),
        (tiff(np.zeros((4, 4)), 8).replace(NO_COMPRESSION, COMPRESSION_9), "compression 9"),
        (tiff(np.zeros((4, 4)), 8, more=[(322, 4, [1 << 20]), (323, 4, [1 << 20])]), "tiles of 1048576 x 1048576"),
        (b"%PDF-1.7", "its content is PDF or PostScript, which is not supported; pdftoppm"),
        (b"<!DOCTYPE html><p>404", "a web page"),
        (bytes(128) + b"DICM" + bytes(99), "its content is DICOM"),
    ],
)
def test_the_reported_reason_is_correct(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        load_image(data, 8, "stretch")


# What the bytes are not to blame for


def index_of(root: Path) -> ImageIndex:
    return load_index(DatasetConfig(name="folder", source="folder", root=str(root)), root)


def test_out_of_memory_stops_the_check_and_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_pictures(tmp_path / "root", {"cat": 3, "dog": 3})
    index = index_of(root)
    for error in (MemoryError(), OSError("out of memory error when reading image file")):
        with monkeypatch.context() as patch:

            def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            patch.setattr(opening.Image, "open", fail)
            with pytest.raises(NoMemoryError, match=r"Not enough memory to decode .*\.png"):
                check_images(index, "skip", tmp_path / "cache")
    checked, report = check_images(index, "skip", tmp_path / "cache")
    assert len(checked) == 6
    assert report.unreadable == []


@pytest.mark.parametrize(
    ("number", "stops"), [(errno.EMFILE, True), (errno.ENOMEM, True), (errno.EIO, False), (errno.EACCES, False)]
)
def test_system_errors_cost_no_image(number: int, stops: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(write_pictures(tmp_path / "root", {"cat": 3, "dog": 3}))
    with monkeypatch.context() as patch:

        def fail(file: Path, *_: object) -> None:
            raise OSError(number, "the system says no")

        patch.setattr(checks, "file_bytes", fail)
        if stops:
            with pytest.raises(HeadstartError, match=r"cannot open .* now \(the system says no\)"):
                check_images(index, "skip", tmp_path / "cache")
        else:
            with pytest.raises(HeadstartError, match="6 of 6"):
                check_images(index, "skip", tmp_path / "cache")
    assert len(check_images(index, "skip", tmp_path / "cache")[0]) == 6


def test_sixteen_bit_images_keep_their_orientation() -> None:
    values = np.arange(600).reshape(20, 30) * 100
    turned = png16(values, (b"eXIf", SIDEWAYS))
    assert pixels(turned) == pixels(png16(np.rot90(values, -1)))
    assert pixels(tiff(values, more=[(274, 3, [6])])) == pixels(tiff(np.rot90(values, -1)))
    colours = np.stack([values, values // 2, values // 3], axis=-1)
    for value_range in (None, (0, 60_000)):
        one = load_image(tiff(colours, photometric=2, more=[(274, 3, [6])]), 24, "pad", value_range=value_range)
        other = load_image(tiff(np.rot90(colours, -1), photometric=2), 24, "pad", value_range=value_range)
        np.testing.assert_array_equal(one, other)
