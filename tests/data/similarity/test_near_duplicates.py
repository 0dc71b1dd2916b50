"""Transformed copies are found, and similar but different images are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from headstart.config import SplitConfig
from headstart.data.files.checks import check_images
from headstart.data.similarity.alignment import SIDE
from headstart.data.similarity.measurements import measure_images
from headstart.data.similarity.near_duplicates import clusters, find_near_duplicates
from headstart.data.sources.folder import list_folder
from headstart.data.splits import build_index

COUNT = 60


def scenes(count: int = COUNT, seed: int = 0, size: int = 96) -> list[Image.Image]:
    """Return pictures of blobs, each different, with large shapes and small ones as photographs have."""
    generator = np.random.default_rng(seed)
    coarse = gaussian_filter(generator.normal(size=(count, size, size, 3)), (0, 9, 9, 0))
    fine = gaussian_filter(generator.normal(size=(count, size, size, 3)), (0, 2.5, 2.5, 0))
    levels = coarse / coarse.std() * 45 + fine / fine.std() * 25 + 120
    return [Image.fromarray(np.clip(one, 0, 255).astype(np.uint8)) for one in levels]


def thumbnails_of(pictures: list[Image.Image]) -> np.ndarray:
    """Return grey thumbnails of pictures."""
    return np.stack([np.asarray(one.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pictures])


def recompressed(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=20)
    return Image.open(io.BytesIO(stream.getvalue()))


def cut(picture: Image.Image, left: float, upper: float, right: float, lower: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((round(width * left), round(height * upper), round(width * right), round(height * lower)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "reduced": lambda picture: picture.resize((40, 40)),
    "stretched": lambda picture: picture.resize((150, 70)),
    "recompressed": recompressed,
    "brightened": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "paled": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda picture: picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "cropped by 8 %": lambda picture: cut(picture, 0.04, 0.04, 0.96, 0.96),
    "cropped by 20 %": lambda picture: cut(picture, 0.1, 0.1, 0.9, 0.9),
    "cropped aside": lambda picture: cut(picture, 0.08, 0.0, 1.0, 0.95),
    "mirrored and cropped": lambda picture: cut(picture, 0.05, 0.05, 0.95, 0.95).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found(change: str) -> None:
    originals = scenes()
    copies = [CHANGES[change](one) for one in originals[:20]]
    thumbnails = thumbnails_of([*originals, *copies])
    found = find_near_duplicates(lambda positions: thumbnails[positions], np.arange(len(thumbnails)))
    pairs = {(pair.first, pair.second) for pair in found}
    wanted = {(number, COUNT + number) for number in range(20)}
    assert len(pairs & wanted) >= (9 if change == "cropped aside" else 17)
    assert pairs <= wanted


def test_similar_images_are_not_copies() -> None:
    generator = np.random.default_rng(1)
    shape = np.hypot(*np.meshgrid(np.linspace(-1, 1, 96), np.linspace(-1, 1, 96)))
    own = gaussian_filter(generator.normal(size=(200, 96, 96)), (0, 4, 4))
    alike = np.where(shape < 0.8, 150 + own / own.std() * 25, 10)  # slices of a skull: the outline is the same
    alike = gaussian_filter(alike, (0, 1.5, 1.5))
    pictures = [Image.fromarray(one.astype(np.uint8)) for one in alike]
    thumbnails = thumbnails_of([*pictures, ImageEnhance.Brightness(pictures[7]).enhance(0.8)])
    found = find_near_duplicates(lambda positions: thumbnails[positions], np.arange(len(thumbnails)))
    assert [(pair.first, pair.second, pair.how) for pair in found] == [(7, 200, "copy")]


def test_handwritten_digits_are_similar_but_not_copies() -> None:
    from sklearn.datasets import load_digits

    levels = (load_digits().images[:400] * 255 / 16).astype(np.uint8)
    thumbnails = thumbnails_of([Image.fromarray(one).resize((128, 128), Image.Resampling.BILINEAR) for one in levels])
    assert find_near_duplicates(lambda positions: thumbnails[positions], np.arange(400)) == []


def test_only_the_given_images_are_compared() -> None:
    thumbnails = thumbnails_of([*scenes(20), *scenes(20)])
    assert find_near_duplicates(lambda positions: thumbnails[positions], np.arange(20)) == []
    assert find_near_duplicates(lambda positions: thumbnails[positions], np.arange(1)) == []
    assert find_near_duplicates(lambda positions: thumbnails[positions], np.arange(0)) == []
    found = find_near_duplicates(lambda positions: thumbnails[positions], np.array([3, 5, 23, 30]))
    assert [(pair.first, pair.second) for pair in found] == [(3, 23)]


def test_thousands_of_images_are_searched_and_few_are_read_at_once() -> None:
    generator = np.random.default_rng(0)
    thumbnails = gaussian_filter(generator.normal(size=(4500, SIDE, SIDE)), (0, 1.5, 1.5))
    thumbnails = (thumbnails / thumbnails.std() * 50 + 128).clip(0, 255).astype(np.uint8)
    thumbnails[4400] = thumbnails[10]
    most = 0

    def read(positions: np.ndarray) -> np.ndarray:
        nonlocal most
        most = max(most, len(positions))
        return thumbnails[positions]

    found = find_near_duplicates(read, np.arange(4500))
    assert (10, 4400) in {(pair.first, pair.second) for pair in found}
    assert most <= 4096


def test_connected_pairs_form_one_group() -> None:
    groups = clusters([(0, 1), (1, 4)], 6)
    assert groups[0] == groups[1] == groups[4]
    assert len({groups[position] for position in (0, 2, 3, 5)}) == 4
    assert len(set(clusters([], 3).tolist())) == 3


def test_copies_are_found_among_files(tmp_path: Path) -> None:
    for number, picture in enumerate(scenes(24)):
        (tmp_path / "pictures" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "pictures" / str(number % 2) / f"{number:02}.png")
    recompressed(scenes(24)[4]).save(tmp_path / "pictures" / "0" / "again.jpg", quality=20)
    index, _ = check_images(build_index(list_folder(tmp_path / "pictures"), SplitConfig()), "fail", tmp_path)
    measured = measure_images(index, None)
    (pair,) = find_near_duplicates(measured.thumbnails, np.arange(len(index)))
    assert {index.paths[pair.first], index.paths[pair.second]} == {"0/04.png", "0/again.jpg"}
