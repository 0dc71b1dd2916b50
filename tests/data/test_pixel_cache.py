"""Images are decoded once at a size, for every split, fraction and folder that contains them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image
from tiny import index_of

from headstart.cache.store import Cache
from headstart.cache.table import Rows
from headstart.core.errors import HeadstartError
from headstart.data import pixel_cache as pixels_module
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Files, Pixels

SIZE = 16
BYTES = SIZE * SIZE * 3  # of one image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", {"blue": 6, "red": 6})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return what is decoded from now on."""
    files: list[Path] = []

    def load(file: Path, size: int, resize: str, *limits: object) -> np.ndarray:
        files.append(file)
        return load_image(file, size, resize)

    monkeypatch.setattr(pixels_module, "load_image", load)
    return files


def indexed(root: Path, cache: Path) -> ImageIndex:
    return check_images(index_of(root), "fail", cache)[0]


def pixels_in(directory: Path, size: int = SIZE, resize: str = "stretch", max_bytes: float = 1e9) -> Pixels:
    """Return the pixels as another run has them."""
    return Pixels(size, resize, Cache(directory / "tables", max_bytes))


def everything(given: Files | Rows, count: int) -> np.ndarray:
    return np.concatenate(list(given.batches(iter(np.array_split(np.arange(count), 3)))))


def images(index: ImageIndex, size: int = SIZE, resize: str = "stretch") -> np.ndarray:
    return np.stack([load_image(index.file(position), size, resize) for position in range(len(index))])


def test_each_image_is_decoded_once(root: Path, tmp_path: Path, decoded: list[Path]) -> None:
    index = indexed(root, tmp_path)
    first, second = pixels_in(tmp_path), pixels_in(tmp_path)
    for pixels in (first, second, second):
        given = pixels.of(index, "train")
        for _ in range(3):  # epochs
            np.testing.assert_array_equal(everything(given, len(index)), images(index))
        assert given.shape == (SIZE, SIZE, 3)
        assert given.dtype == np.uint8
    assert sorted(decoded) == sorted(index.file(position) for position in range(12))
    assert (first.decoded, second.decoded) == (12, 0)
    assert first.bytes_estimated == first.bytes_written == 12 * BYTES
    assert second.bytes_estimated == second.bytes_written == 0


def test_splits_fractions_and_folders_share_decoded_images(root: Path, tmp_path: Path, decoded: list[Path]) -> None:
    index, pixels = indexed(root, tmp_path), pixels_in(tmp_path)
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    (moved / "red").rename(moved / "a new name")
    (moved / "blue" / "000.png").rename(moved / "blue" / "z.png")
    for part in (index.take([3, 1, 8]), index.take(np.arange(6)), index, indexed(moved, tmp_path)):
        np.testing.assert_array_equal(everything(pixels.of(part, "train"), len(part)), images(part))
    assert pixels.decoded == len(decoded) == 12


def test_two_copies_of_an_image_are_decoded_once(root: Path, tmp_path: Path, decoded: list[Path]) -> None:
    shutil.copy(root / "red" / "001.png", root / "red" / "copy.png")
    index = indexed(root, tmp_path)
    np.testing.assert_array_equal(everything(pixels_in(tmp_path).of(index, "train"), 13), images(index))
    assert len(decoded) == 12


def test_one_changed_pixel_decodes_one_image(root: Path, tmp_path: Path, decoded: list[Path]) -> None:
    pixels_in(tmp_path).of(indexed(root, tmp_path), "train")
    file = root / "red" / "002.png"
    changed = np.asarray(Image.open(file)).copy()
    changed[0, 0, 0] ^= 255
    Image.fromarray(changed).save(file)
    decoded.clear()
    index, pixels = indexed(root, tmp_path / "checked later"), pixels_in(tmp_path)
    np.testing.assert_array_equal(everything(pixels.of(index, "train"), 12), images(index))
    assert decoded == [file]
    assert pixels.decoded == 1


@pytest.mark.parametrize(("size", "resize"), [(SIZE, "stretch"), (SIZE + 1, "stretch"), (SIZE, "crop"), (SIZE, "pad")])
def test_another_size_or_resize_method_is_another_table(
    size: int, resize: str, tmp_path: Path, decoded: list[Path]
) -> None:
    root = tmp_path / "wide"
    for number, name in enumerate(("a", "b")):
        (root / name).mkdir(parents=True)
        noise = np.random.default_rng(number).integers(0, 255, (20, 40, 3), np.uint8)
        Image.fromarray(noise).save(root / name / "0.png")
    index = indexed(root, tmp_path)
    pixels_in(tmp_path).of(index, "train")
    decoded.clear()
    given = pixels_in(tmp_path, size, resize).of(index, "train")
    assert len(decoded) == (0 if (size, resize) == (SIZE, "stretch") else 2)
    np.testing.assert_array_equal(everything(given, 2), images(index, size, resize))


def test_without_digests_or_a_cache_files_are_read(root: Path, tmp_path: Path, decoded: list[Path]) -> None:
    index = indexed(root, tmp_path)
    for pixels, of in ((pixels_in(tmp_path), replace(index, digests=())), (Pixels(SIZE, "stretch"), index)):
        given = pixels.of(of, "train")
        assert isinstance(given, Files)
        decoded.clear()
        for _ in range(2):
            np.testing.assert_array_equal(everything(given, 12), images(index))
        assert len(decoded) == 24
        assert pixels.decoded == 0
    assert not (tmp_path / "tables").exists()


def test_without_room_files_are_read_and_the_reason_is_printed_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, pixels = indexed(root, tmp_path), pixels_in(tmp_path, max_bytes=12 * BYTES - 1)
    capsys.readouterr()
    for name in ("train", "validation"):
        assert isinstance(pixels.of(index, name), Files)
    said = capsys.readouterr().out
    assert said == "  9.2 kB of decoded images are more than cache.max_gb allows: images are decoded in every epoch\n"
    assert isinstance(pixels.of(index.take(np.arange(11)), "test"), Rows)  # they fit


def test_an_unreadable_image_leaves_no_rows(root: Path, tmp_path: Path) -> None:
    index, pixels = indexed(root, tmp_path), pixels_in(tmp_path)
    index.file(7).write_bytes(b"no picture")
    with pytest.raises(HeadstartError, match=r"red/001\.png"):
        pixels.of(index, "train")
    assert not list((tmp_path / "tables").glob("*/*.rows"))
    write_pictures(root, {"blue": 6, "red": 6})
    np.testing.assert_array_equal(everything(pixels.of(index, "train"), 12), images(index))
