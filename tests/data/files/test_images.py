"""Decoding images: formats, modes, orientation, resizing, and errors."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import HeadstartError
from headstart.data.files.images import RESIZE_MODES, load_image


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Return a smooth picture in which every direction looks different."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray((np.stack([x, y, (1 - x) * y], axis=-1) * 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 3),
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 12),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_formats_show_the_same_picture(tmp_path, format, options, tolerance):
    file = tmp_path / "picture.of_some_kind"
    file.write_bytes(encoded(picture(), format, **options))
    pixels = load_image(file, 32, "stretch")
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert difference(pixels, load_image(encoded(picture()), 32, "stretch")) <= tolerance


def test_the_content_decides_the_format(tmp_path):
    file = tmp_path / "really_a_png.jpg"
    file.write_bytes(encoded(picture()))
    assert np.array_equal(load_image(file, 16, "crop"), load_image(encoded(picture()), 16, "crop"))


def test_every_mode_becomes_rgb():
    grey = picture().convert("L")
    expected = load_image(encoded(grey), 16, "stretch")
    assert np.array_equal(expected[..., 0], expected[..., 2])

    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert sixteen.mode == "I;16"
    assert np.array_equal(load_image(encoded(sixteen), 16, "stretch"), expected)
    assert np.array_equal(load_image(encoded(sixteen, "TIFF"), 16, "stretch"), expected)
    wide = Image.fromarray(np.asarray(grey).astype(np.int32) * 257)
    assert np.array_equal(load_image(encoded(wide, "TIFF"), 16, "stretch"), expected)

    opaque = grey.convert("LA")
    assert difference(load_image(encoded(opaque), 16, "stretch"), expected) <= 1
    cmyk = load_image(encoded(picture().convert("CMYK"), "JPEG", quality=95), 16, "stretch")
    assert difference(cmyk, load_image(encoded(picture()), 16, "stretch")) <= 3
    assert set(np.unique(load_image(encoded(Image.new("1", (8, 8), 1)), 4, "stretch"))) == {255}


def test_transparency_is_composited_over_white():
    half = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half.paste((255, 0, 0, 255), (0, 0, 8, 4))
    files = {
        "RGBA": encoded(half),
        "WEBP": encoded(half, "WEBP", lossless=True),
        "GIF": encoded(half, "GIF"),
        "LA": encoded(half.convert("LA")),
    }
    for name, data in files.items():
        pixels = load_image(data, 8, "stretch")
        assert pixels[7, 7].tolist() == [255, 255, 255], name
        assert pixels[0, 4].tolist() == ([255, 0, 0] if name != "LA" else [76, 76, 76]), name

    indexed = Image.new("P", (4, 4), 1)
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    indexed.putpixel((0, 0), 0)
    for transparency in (0, bytes([0, 255])):
        pixels = load_image(encoded(indexed, transparency=transparency), 4, "stretch")
        assert pixels[0, 0].tolist() == [255, 255, 255]
        assert pixels[3, 3].tolist() == [200, 100, 50]


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for format, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert load_image(data, 4, "stretch")[0, 0].tolist() == [255, 0, 0], format


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", RESIZE_MODES)
def test_exif_orientation_is_obeyed(orientation, resize):
    undo = {  # what makes the orientation necessary
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = picture(400, 267)
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for format, options in (("JPEG", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        expected = load_image(encoded(upright, format, **options), 33, resize)
        turned = load_image(encoded(stored, format, exif=exif, **options), 33, resize)
        assert difference(turned, expected) <= 1, format


def test_stretch_crop_and_pad():
    wide = Image.new("RGB", (60, 20), "blue")
    wide.paste((255, 0, 0), (20, 0, 40, 20))  # the middle third
    data = encoded(wide)
    stretched, cropped, padded = (load_image(data, 12, resize) for resize in RESIZE_MODES)
    assert stretched[6, 1].tolist() == [0, 0, 255]
    assert stretched[6, 6].tolist() == [255, 0, 0]
    assert cropped[:, 1:-1].reshape(-1, 3).tolist() == [[255, 0, 0]] * 120
    assert padded[:4].max() == 0
    assert padded[8:].max() == 0
    assert padded[4:8, 6].tolist() == [[255, 0, 0]] * 4
    tall = load_image(encoded(wide.transpose(Image.Transpose.ROTATE_90)), 12, "pad")
    assert difference(tall, np.rot90(padded)) <= 1
    assert load_image(encoded(Image.new("RGB", (500, 1), "white")), 8, "pad").max() == 255


def test_reducing_is_antialiased():
    checkers = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    assert np.abs(load_image(encoded(checkers), 16, "stretch").astype(int) - 127).max() < 8


@pytest.mark.parametrize("resize", RESIZE_MODES)
@pytest.mark.parametrize("size", [(1021, 769), (769, 1021), (250, 1001)])
def test_reduced_decoding_of_jpegs_shows_the_same_region(size, resize):
    image = picture(*size)
    jpeg, exact = encoded(image, "JPEG", quality=95), encoded(image, "PNG", compress_level=1)
    for side in (30, 64, 125):
        one, other = load_image(jpeg, side, resize).astype(int), load_image(exact, side, resize).astype(int)
        assert np.abs(one - other).mean() <= 1
        assert np.abs(one - other).max() <= 8


@pytest.mark.parametrize("width", [255, 256])
def test_reduced_decoding_never_goes_below_the_size(width):
    lines = Image.fromarray(np.tile((np.arange(width) % 4 // 2 * 255).astype(np.uint8), (256, 1)))
    full = load_image(encoded(lines), 128, "stretch")
    assert load_image(encoded(lines, "JPEG", quality=95), 128, "stretch").std() > 0.95 * full.std() > 50


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"no image at all", "none of JPEG"),
        (encoded(picture(300, 200), "JPEG")[:2000], "truncated"),
        (encoded(picture(300, 200))[:900], "truncated"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "floating-point"),
        (encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"), "outside 0 to 65535"),
        (encoded(picture(), "PPM"), "none of JPEG"),
    ],
    ids=["empty", "text", "jpeg", "png", "float", "integer", "format"],
)
def test_refused_files_are_named_with_the_reason(tmp_path, data, reason):
    file = tmp_path / "broken.jpg"
    file.write_bytes(data)
    with pytest.raises(HeadstartError, match=rf"broken\.jpg \(.*{reason}"):
        load_image(file, 16, "stretch")


def test_missing_file_and_wrong_mode_are_refused(tmp_path):
    with pytest.raises(HeadstartError, match=r"gone\.png \(No such file"):
        load_image(tmp_path / "gone.png", 16, "stretch")
    with pytest.raises(HeadstartError, match="stretch, crop, pad"):
        load_image(encoded(picture()), 16, "squeeze")


def test_decompression_bomb_is_refused(monkeypatch):
    data = encoded(picture(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(HeadstartError, match="limit of 1"):
        load_image(data, 16, "stretch")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")  # about metadata; the pixels may be sound
def test_damaged_bytes_never_escape_as_another_error():
    generator = np.random.default_rng(0)
    animated = {"save_all": True, "append_images": [picture().convert("L")]}
    whole = [
        encoded(picture(), "JPEG"),
        encoded(picture(), "PNG"),
        encoded(picture().quantize(16), "PNG", transparency=3),
        encoded(picture(), "GIF", **animated),
        encoded(picture(), "BMP"),
        encoded(picture(), "WEBP"),
        encoded(picture(), "TIFF", compression="tiff_lzw"),
        encoded(picture(), "TIFF"),
    ]
    refused = 0
    for data in whole:
        for _ in range(60):
            damaged = bytearray(data)
            for position in generator.integers(0, min(len(data), 400), 4):
                damaged[position] = generator.integers(256)
            try:
                assert load_image(bytes(damaged), 16, "crop").shape == (16, 16, 3)
            except HeadstartError:
                refused += 1
    assert refused > 100


def test_threads_give_the_same_pixels():
    files = [encoded(picture(200 + step, 150), "JPEG") for step in range(24)]
    alone = [load_image(data, 40, "crop") for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: load_image(data, 40, "crop"), files))
    assert np.array_equal(alone, together)
