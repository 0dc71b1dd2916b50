"""The frozen part runs once per image; every run with the same activations reuses them, and no other run does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from PIL import Image
from tiny import SIZE, index_of, tiny_network

from headstart.cache.store import Cache
from headstart.config import AugmentationConfig, BackboneConfig, HeadConfig, HeadOnly
from headstart.config.train_targets import parse_target
from headstart.core.errors import HeadstartError
from headstart.data.augmentation import Augmentation
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Pixels
from headstart.features.activation_cache import ActivationCache, Views
from headstart.features.boundary import Boundary, frozen_boundary
from headstart.model import preprocessing
from headstart.model.network import build_network

FEATURES = 64  # of the small network's head


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", {"blue": 6, "red": 6})


def indexed(root: Path, cache: Path) -> ImageIndex:
    return check_images(index_of(root), "fail", cache)[0]


def split_point(train: str = "head") -> Boundary:
    """Return the small network, built again with the same weights, in its two parts."""
    boundary = frozen_boundary(tiny_network(), parse_target(train))
    assert boundary is not None
    return boundary


def activations_in(
    directory: Path, size: int = SIZE, resize: str = "stretch", dtype: str = "float32", max_bytes: float = 1e9
) -> ActivationCache:
    """Return the activations as another run has them."""
    cache = Cache(directory / "tables", max_bytes)
    return ActivationCache(cache, Pixels(size, resize, cache), dtype)


def views(count: int, **values: Any) -> Views:
    return Views(Augmentation(AugmentationConfig("test", **({"flip": True, "rotation": 20.0} | values))), count)


def values(
    activations: ActivationCache, index: ImageIndex, boundary: Boundary | None = None, seen: Views | None = None
) -> np.ndarray:
    rows = activations.rows(boundary or split_point(), index, "train", seen)
    return rows.read(np.arange(len(rows)))


def images(index: ImageIndex, size: int = SIZE, resize: str = "stretch") -> np.ndarray:
    loaded = [load_image(index.file(position), size, resize) for position in range(len(index))]
    return np.stack(loaded).astype(np.float32)


def tables(directory: Path) -> int:
    """Return how many computations of activations are kept."""
    cache = Cache(directory / "tables", 1e9)
    return sum(cache.open_table(table).description["what"] == "activations" for table in cache.tables())


def test_activations_are_the_outputs_of_the_frozen_part_in_the_order_of_the_index(root: Path, tmp_path: Path) -> None:
    boundary, index = split_point(), indexed(root, tmp_path)
    found = values(activations_in(tmp_path), index, boundary)
    assert found.shape == (12, FEATURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, boundary.prefix(images(index)), atol=1e-5)


def test_activations_are_computed_once_and_reused_by_other_runs(root: Path, tmp_path: Path) -> None:
    index, first = indexed(root, tmp_path), activations_in(tmp_path)
    expected = values(first, index)
    assert (first.computed, first.reused) == (12, 0)
    values(first, index)  # another network of the same weights
    assert (first.computed, first.reused) == (12, 12)
    other = activations_in(tmp_path)
    np.testing.assert_array_equal(values(other, index), expected)
    assert (other.computed, other.reused) == (0, 12)
    assert other.pixels.decoded == 0


def test_images_are_identified_by_content_and_not_by_name(root: Path, tmp_path: Path) -> None:
    expected = values(activations_in(tmp_path), indexed(root, tmp_path))
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    (moved / "red").rename(moved / "a new name")  # now before blue
    again = activations_in(tmp_path)
    found = values(again, indexed(moved, tmp_path))
    assert (again.computed, again.reused) == (0, 12)
    np.testing.assert_array_equal(found, np.roll(expected, 6, axis=0))


def test_one_changed_pixel_computes_one_image(root: Path, tmp_path: Path) -> None:
    expected = values(activations_in(tmp_path), indexed(root, tmp_path))
    file = root / "blue" / "003.png"
    pixels = np.asarray(Image.open(file)).copy()
    pixels[5, 5, 0] ^= 255
    Image.fromarray(pixels).save(file)
    again = activations_in(tmp_path)
    found = values(again, indexed(root, tmp_path / "checked later"))
    assert (again.computed, again.reused, again.pixels.decoded) == (1, 11, 1)
    assert [number for number in range(12) if not np.array_equal(found[number], expected[number])] == [3]
    assert tables(tmp_path) == 1


@pytest.mark.parametrize("what", ["weight", "size", "resize", "split point", "swapped channels", "scale", "dtype"])
def test_everything_that_changes_the_activations_makes_another_table(
    what: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = indexed(root, tmp_path)
    expected = values(activations_in(tmp_path), index)
    boundary, size, resize, dtype = split_point(), SIZE, "stretch", "float32"
    if what == "weight":
        kernel = boundary.prefix.weights[0]
        changed = kernel.numpy()
        changed[0, 0, 0, 0] += 0.01
        kernel.assign(changed)
    elif what == "size":
        size = SIZE * 2
        network = build_network(BackboneConfig("small_cnn", "none"), HeadConfig("head"), 3, size, seed=0)
        found = frozen_boundary(network, HeadOnly())
        assert found is not None
        boundary = found
    elif what == "resize":
        resize = "crop"
    elif what == "split point":
        boundary = split_point("last_block")
    elif what == "dtype":
        dtype = "float16"
    else:
        normalization = preprocessing.INPUT_NORMALIZATIONS["unit"]
        assert normalization is not None
        other = (
            normalization._replace(bgr=True) if what == "swapped channels" else normalization._replace(scale=1 / 127)
        )
        monkeypatch.setitem(preprocessing.INPUT_NORMALIZATIONS, "unit", other)
        boundary = split_point()
    again = activations_in(tmp_path, size, resize, dtype)
    found = values(again, index, boundary)
    assert (again.computed, again.reused) == (12, 0)
    assert tables(tmp_path) == 2
    np.testing.assert_allclose(
        found, boundary.prefix(images(index, size, resize)), atol=1e-5, rtol=1e-3 if what == "dtype" else 1e-5
    )
    if what not in ("resize", "dtype"):  # square pictures are cropped by nothing
        assert found.shape != expected.shape or not np.allclose(found, expected, atol=1e-6)


def test_orders_fractions_and_splits_reuse_the_cache(root: Path, tmp_path: Path) -> None:
    index, activations = indexed(root, tmp_path), activations_in(tmp_path)
    expected = values(activations, index)
    for order in ([11, 0, 5], np.arange(12)[::-1], [4, 4, 2]):
        np.testing.assert_array_equal(values(activations, index.take(order)), expected[order])
    assert activations.computed == 12


def test_views_are_fixed_and_different(root: Path, tmp_path: Path) -> None:
    index, seen, boundary = indexed(root, tmp_path), views(3), split_point()
    activations = activations_in(tmp_path)
    found = values(activations, index, boundary, seen)
    assert found.shape == (36, FEATURES)
    assert activations.computed == 36
    by_image = found.reshape(12, 3, FEATURES)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.isclose(by_image[:, one], by_image[:, other], atol=1e-6).all(axis=1).any()
    # Of one image alone, in another order, in another job: the same views.
    elsewhere = activations_in(tmp_path / "elsewhere")
    np.testing.assert_allclose(values(elsewhere, index.take([7, 2]), seen=seen)[3:], by_image[2], atol=1e-6)
    changed = seen.augmentation.images(images(index), np.array([(int(key[:7], 16), 1) for key in index.digests]))
    np.testing.assert_allclose(by_image[:, 1], boundary.prefix(changed), atol=1e-5)


def test_more_views_compute_only_the_new_ones(root: Path, tmp_path: Path) -> None:
    index = indexed(root, tmp_path)
    two = values(activations_in(tmp_path), index, seen=views(2))
    more = activations_in(tmp_path)
    four = values(more, index, seen=views(4))
    assert (more.computed, more.reused) == (24, 24)
    np.testing.assert_array_equal(four.reshape(12, 4, -1)[:, :2], two.reshape(12, 2, -1))
    fewer = activations_in(tmp_path)
    np.testing.assert_array_equal(values(fewer, index, seen=views(1)), four[::4])
    assert fewer.computed == 0


def test_an_augmentation_is_identified_by_its_values(root: Path, tmp_path: Path) -> None:
    index = indexed(root, tmp_path)
    values(activations_in(tmp_path), index, seen=views(1))
    renamed = activations_in(tmp_path)
    values(renamed, index, seen=Views(Augmentation(replace(views(1).augmentation.config, name="other", views=1)), 1))
    assert renamed.computed == 0
    for other in (views(1, rotation=21.0), views(1, fill="reflect"), None):
        again = activations_in(tmp_path)
        values(again, index, seen=other)
        assert again.computed == 12, other


def test_half_precision_takes_half_the_space(root: Path, tmp_path: Path) -> None:
    index = indexed(root, tmp_path)
    whole, half = activations_in(tmp_path), activations_in(tmp_path, dtype="float16")
    expected, found = values(whole, index), values(half, index)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert half.bytes_written == whole.bytes_written / 2 == 12 * FEATURES * 2


def test_the_estimate_equals_the_bytes_written(root: Path, tmp_path: Path) -> None:
    index, activations = indexed(root, tmp_path), activations_in(tmp_path)
    values(activations, index.take(np.arange(5)))
    values(activations, index, seen=views(2))
    values(activations, index, split_point("last_block"))
    summary = activations.summary()
    on_disk = sum(file.stat().st_size for file in (tmp_path / "tables").rglob("*.rows"))
    assert summary.bytes_written == on_disk
    assert summary.bytes_estimated == pytest.approx(on_disk, rel=0.1)


def test_an_unreadable_image_leaves_no_rows(root: Path, tmp_path: Path) -> None:
    index, activations = indexed(root, tmp_path), activations_in(tmp_path)
    index.file(7).write_bytes(b"no picture")
    with pytest.raises(HeadstartError, match=r"red/001\.png"):
        values(activations, index)
    assert not list((tmp_path / "tables").glob("*/*.rows"))
    assert activations.computed == 0


def test_activations_that_do_not_fit_are_not_cached(root: Path, tmp_path: Path) -> None:
    index, boundary = indexed(root, tmp_path), split_point()
    of_one = FEATURES * 4
    small = activations_in(tmp_path, max_bytes=18 * of_one)
    first, second = index.take(np.arange(9)), index.take(np.arange(9, 12))
    assert small.objection(boundary, [first, second]) is None
    assert small.objection(boundary, [first, second], views(1)) is None
    assert "cache.max_gb" in str(small.objection(boundary, [first, second], views(2)))  # 18 and 3 rows
    values(activations_in(tmp_path), second, boundary)
    assert small.objection(boundary, [first, second], views(2)) is None  # what is there needs no room


def test_activations_in_memory_equal_cached_ones(root: Path, tmp_path: Path) -> None:
    index, boundary, activations = indexed(root, tmp_path), split_point(), activations_in(tmp_path)
    held = activations.in_memory(boundary, index, "train")
    assert activations.computed == 12
    assert tables(tmp_path) == 0
    np.testing.assert_array_equal(held.read(np.arange(12)), values(activations_in(tmp_path), index, boundary))
