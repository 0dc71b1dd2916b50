"""Activations are computed once, found again by content alone, and never read half."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_pictures
from headstart.training.features import ActivationStore, bytes_per_image
from PIL import Image
from tiny import SIZE, index_of, tiny_network

from headstart.data.check import check_images
from headstart.data.images import load_image
from headstart.data.index import ImageIndex
from headstart.errors import HeadstartError
from headstart.model import preprocessing
from headstart.model.boundary import Boundary, frozen_boundary
from headstart.training import features

ENTRY = 12 * 64 * 4 + 128  # bytes of one: images, features of the small network's head, float32, the header


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", {"blue": 6, "red": 6})


@pytest.fixture
def store(tmp_path: Path) -> ActivationStore:
    return ActivationStore(tmp_path / "activations", 1e9)


def indexed(root: Path, cache: Path) -> ImageIndex:
    return check_images(index_of(root), "fail", cache)[0]


def cut(train: str = "head") -> Boundary:
    boundary = frozen_boundary(tiny_network(), train)
    assert boundary is not None
    return boundary


def read(store: ActivationStore, boundary: Boundary, index: ImageIndex, size: int = SIZE, resize: str = "stretch"):
    return store.activations(boundary, index, size, resize, "train")


def test_they_are_those_of_the_frozen_part_in_the_order_of_the_index(
    root: Path, store: ActivationStore, tmp_path: Path
) -> None:
    boundary, index = cut(), indexed(root, tmp_path)
    rows = read(store, boundary, index)
    images = np.stack([load_image(index.file(i), SIZE, "stretch") for i in range(len(index))]).astype(np.float32)
    assert rows.shape == (12, 64)
    assert rows.dtype == np.float32
    assert isinstance(rows, np.memmap)
    np.testing.assert_allclose(rows, boundary.prefix(images), atol=1e-5)


def test_they_are_computed_once_and_reused_by_anybody(root: Path, store: ActivationStore, tmp_path: Path) -> None:
    index = indexed(root, tmp_path)
    first = read(store, cut(), index)
    assert (store.computed, store.reused) == (12, 0)
    again = read(store, cut(), index)  # another network of the same weights, as in another job
    assert (store.computed, store.reused) == (12, 12)
    np.testing.assert_array_equal(again, first)
    other = ActivationStore(store.directory, 1e9)
    read(other, cut(), index)
    assert (other.computed, other.reused) == (0, 12)


def test_images_count_by_content_and_not_by_name(root: Path, store: ActivationStore, tmp_path: Path) -> None:
    read(store, cut(), indexed(root, tmp_path / "cache"))
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    (moved / "red").rename(moved / "renamed")
    read(store, cut(), indexed(moved, tmp_path / "cache"))
    assert (store.computed, store.reused) == (12, 12)


@pytest.mark.parametrize("what", ["pixel", "weight", "size", "resize", "order", "cut", "preprocessing"])
def test_whatever_decides_the_numbers_makes_another_entry(
    what: str, root: Path, store: ActivationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = indexed(root, tmp_path / "cache")
    first = np.array(read(store, cut(), index))
    boundary, size, resize = cut(), SIZE, "stretch"
    if what == "pixel":
        pixels = np.asarray(Image.open(index.file(3))).copy()
        pixels[5, 5, 0] ^= 255
        Image.fromarray(pixels).save(index.file(3))
        index = indexed(root, tmp_path / "cache of later")
    elif what == "weight":
        kernel = boundary.prefix.weights[0]
        changed = kernel.numpy()
        changed[0, 0, 0, 0] += 0.01
        kernel.assign(changed)
    elif what == "size":
        size = SIZE * 2
        from headstart.config import BackboneConfig, HeadConfig
        from headstart.model.assemble import build_network

        boundary = frozen_boundary(
            build_network(BackboneConfig("small_cnn", "none"), HeadConfig("head"), 3, size, seed=0), "head"
        )
    elif what == "resize":
        resize = "crop"
    elif what == "order":
        index = index.take(np.arange(len(index))[::-1])
    elif what == "cut":
        boundary = cut("last_block")
    else:
        swapped = preprocessing.CONTRACTS["unit"]._replace(bgr=True)
        monkeypatch.setitem(preprocessing.CONTRACTS, "unit", swapped)
        boundary = cut()
    second = read(store, boundary, index, size, resize)
    assert (store.computed, store.reused) == (24, 0)
    assert len(list(store.directory.iterdir())) == 2
    if what == "order":
        np.testing.assert_allclose(second, first[::-1], atol=1e-6)
    elif what == "pixel":
        assert [i for i in range(12) if not np.allclose(second[i], first[i], atol=1e-6)] == [3]
    elif what != "resize":  # square pictures are cropped by nothing
        assert second.shape != first.shape or not np.allclose(second, first, atol=1e-6)


def test_a_half_written_entry_is_never_read(
    root: Path, store: ActivationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, boundary = indexed(root, tmp_path), cut()
    compute = features.compute_activations

    def interrupted(*arguments: object) -> None:
        compute(*arguments)  # type: ignore[arg-type]
        assert [file.suffix for file in store.directory.iterdir()] == [".partial"]
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "compute_activations", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(store, boundary, index)
    assert list(store.directory.iterdir()) == []
    monkeypatch.undo()
    read(store, boundary, index)
    [entry] = store.directory.iterdir()
    # What a process that was killed leaves behind is no entry.
    half = entry.with_name(f".{entry.name}-0123.partial")
    half.write_bytes(entry.read_bytes()[:200])
    entry.unlink()
    read(store, boundary, index)
    assert (store.computed, store.reused) == (24, 0)


def test_an_image_that_cannot_be_read_leaves_nothing(root: Path, store: ActivationStore, tmp_path: Path) -> None:
    index = indexed(root, tmp_path)
    index.file(7).write_bytes(b"no picture")
    with pytest.raises(HeadstartError, match=r"red/001\.png"):
        read(store, cut(), index)
    assert list(store.directory.iterdir()) == []


def test_the_least_recently_used_entry_makes_room(root: Path, tmp_path: Path) -> None:
    store, boundary = ActivationStore(tmp_path / "activations", 2.5 * ENTRY), cut()
    index = indexed(root, tmp_path)
    orders = [np.roll(np.arange(12), shift) for shift in range(3)]
    first, second, third = (index.take(order) for order in orders)

    def age(seconds: int) -> None:
        for file in store.directory.iterdir():
            os.utime(file, (file.stat().st_mtime - seconds,) * 2)

    read(store, boundary, first)
    age(60)
    kept = read(store, boundary, second)
    assert sum(file.stat().st_size for file in store.directory.iterdir()) == 2 * ENTRY
    age(60)
    read(store, boundary, first)  # used again, so that the second one is the older
    read(store, boundary, third)
    assert len(list(store.directory.iterdir())) == 2
    assert store.reused == 12
    assert np.isfinite(kept).all()  # who reads a removed entry keeps it
    read(store, boundary, first)
    assert store.reused == 24
    read(store, boundary, second)
    assert store.computed == 48


def test_an_entry_that_another_process_removes_is_computed_again(
    root: Path, store: ActivationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, boundary = indexed(root, tmp_path), cut()
    read(store, boundary, index)
    plain = os.utime

    def removed_meanwhile(file: Path) -> None:
        plain(file)
        file.unlink()

    monkeypatch.setattr(features.os, "utime", removed_meanwhile)
    read(store, boundary, index)
    assert (store.computed, store.reused) == (24, 0)


def test_what_does_not_fit_is_objected_to(
    root: Path, store: ActivationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, boundary = indexed(root, tmp_path), cut()
    assert bytes_per_image(boundary) == 64 * 4
    assert store.objection(boundary, [index, index]) is None
    small = replace(store, max_bytes=2 * 12 * 64 * 4 - 1)
    assert small.objection(boundary, [index]) is None
    assert "cache.max_gb" in str(small.objection(boundary, [index, index]))
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(features.shutil, "disk_usage", lambda place: free)
    assert str(store.directory) in str(store.objection(boundary, [index]))
