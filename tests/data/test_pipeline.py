"""Training and evaluation batches: their rows, targets and weights, and how far ahead they are read."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tiny import SIZE, index_of

from headstart.config import AugmentationConfig
from headstart.data import pipeline, pixel_cache
from headstart.data.augmentation import Augmentation
from headstart.data.batch_order import training_batches
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.pipeline import BatchPlan, class_weights, evaluation_dataset, training_dataset
from headstart.data.pixel_cache import BATCHES_AHEAD, Files
from headstart.data.rows import InMemory

BATCH = 8


def files(index: ImageIndex) -> Files:
    return Files(index, SIZE, "stretch")


@pytest.fixture
def index(folder: Path) -> ImageIndex:
    return index_of(folder)  # 30 pictures: 4 batches, the last one of 6


def dataset(
    index: ImageIndex, seed: int = 0, one_sigmoid: bool = False, stage: int = 0, **augmentation: Any
) -> tf.data.Dataset:
    weights = np.arange(1, len(index.class_names) + 1, dtype=np.float32)
    changes = Augmentation(AugmentationConfig("some", **augmentation))
    plan = BatchPlan(BATCH, seed, stage)
    return training_dataset(index, files(index), plan, weights, one_sigmoid, changes)


def taken(data: tf.data.Dataset, number: int) -> list[tuple[np.ndarray, ...]]:
    return list(data.take(number).as_numpy_iterator())


def same(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(itertools.chain(*one), itertools.chain(*other), strict=True))


def test_batches_are_the_same_however_many_are_read_together(
    index: ImageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_bytes = SIZE * SIZE * 3
    found = []
    for batches in (1, 2, 3, 100):
        monkeypatch.setattr(pipeline, "GROUP_BYTES", batches * BATCH * row_bytes)
        weights = np.arange(1, len(index.class_names) + 1, dtype=np.float32)
        found.append(taken(training_dataset(index, files(index), BatchPlan(BATCH, 0), weights, one_sigmoid=False), 9))
    assert [len(batch[0]) for batch in found[0]] == [8, 8, 8, 6, 8, 8, 8, 6, 8]
    assert all(same(found[0], other) for other in found[1:])


def test_an_evaluation_dataset_has_the_unchanged_images(index: ImageIndex) -> None:
    data = evaluation_dataset(index, files(index), BATCH, one_sigmoid=False)
    assert int(data.cardinality()) == 4
    for _ in range(2):  # each time again
        images, targets = (np.concatenate(parts) for parts in zip(*data.as_numpy_iterator(), strict=True))
        np.testing.assert_array_equal(targets.argmax(axis=1), index.labels)
        assert images.dtype == np.float32
        for position in (0, 13, 29):
            np.testing.assert_array_equal(images[position], load_image(index.file(position), SIZE, "stretch"))


def test_images_targets_and_weights_of_a_batch_match(index: ImageIndex) -> None:
    known = {load_image(index.file(position), SIZE, "stretch").tobytes(): position for position in range(30)}
    epoch = taken(dataset(index), 4)
    assert [len(images) for images, _, _ in epoch] == [8, 8, 8, 6]
    seen = []
    for images, targets, weights in epoch:
        assert images.dtype == targets.dtype == weights.dtype == np.float32
        for image, target, weight in zip(images, targets, weights, strict=True):
            position = known[image.astype(np.uint8).tobytes()]
            seen.append(position)
            np.testing.assert_array_equal(target, np.eye(3)[index.labels[position]])
            assert weight == index.labels[position] + 1
    assert sorted(seen) == list(range(30))


def test_one_sigmoid_has_one_target(binary_folder: Path) -> None:
    index = index_of(binary_folder)
    for _, targets, weights in [*taken(dataset(index, one_sigmoid=True), 3)]:
        np.testing.assert_array_equal(targets[:, 0] + 1, weights)
    data = evaluation_dataset(index, files(index), BATCH, one_sigmoid=True)
    targets = np.concatenate([targets for _, targets in data.as_numpy_iterator()])
    np.testing.assert_array_equal(targets[:, 0], index.labels)


def test_mixed_images_have_mixed_targets_and_weights(index: ImageIndex) -> None:
    (_, targets, weights), *_ = taken(dataset(index, mixup=1.0), 1)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    assert ((targets > 0.01) & (targets < 0.99)).any()
    np.testing.assert_allclose(weights, targets @ [1, 2, 3], rtol=1e-5)


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(index: ImageIndex) -> None:
    changes = {"flip": True, "rotation": 30.0, "randaugment": 0.5, "mixup": 0.2}
    first = taken(dataset(index, 1, **changes), 6)
    assert same(first, taken(dataset(index, 1, **changes), 6))
    assert not same(first, taken(dataset(index, 2, **changes), 6))


def test_an_image_is_augmented_differently_in_every_epoch_and_stage(folder: Path) -> None:
    index = index_of(folder).take([0, 0])  # whatever the order, the same picture comes first
    stages = [taken(dataset(index, stage=stage, rotation=90.0), 3) for stage in (0, 1)]
    firsts = [images[0] for stage in stages for images, _, _ in stage]
    assert len({image.tobytes() for image in firsts}) == 6


def test_a_second_stage_sees_another_order(index: ImageIndex) -> None:
    assert not same(taken(dataset(index, stage=0), 4), taken(dataset(index, stage=1), 4))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the files that are decoded."""
    lock, count = threading.Lock(), itertools.count(1)
    last = [0]

    def load(*arguments: Any) -> np.ndarray:
        with lock:
            last[0] = next(count)
        return load_image(*arguments)

    monkeypatch.setattr(pixel_cache, "load_image", load)
    return lambda: last[0]


def test_reading_stays_a_few_batches_ahead_and_stops_when_closed(index: ImageIndex, counted: Callable[[], int]) -> None:
    others = set(threading.enumerate())
    stream = files(index).batches(training_batches(30, 2, (0,)))
    for number in range(1, 6):
        next(stream)
        assert counted() <= 2 * (number + BATCHES_AHEAD)
    assert set(threading.enumerate()) - others
    stream.close()
    assert not set(threading.enumerate()) - others
    assert counted() <= 2 * (5 + BATCHES_AHEAD)


def test_an_abandoned_dataset_stops_reading(index: ImageIndex, counted: Callable[[], int]) -> None:
    others = set(threading.enumerate())
    iterator = iter(dataset(index))
    next(iterator)
    readers = [thread for thread in set(threading.enumerate()) - others if "ThreadPool" in thread.name]
    assert readers
    del iterator
    for thread in readers:
        thread.join(timeout=120)
        assert not thread.is_alive()
    assert counted() <= BATCH * (1 + BATCHES_AHEAD + 8)  # and what TensorFlow reads ahead


@pytest.mark.parametrize(
    ("kind", "expected"), [("none", [1, 1, 1]), ("balanced", [5 / 9, 5 / 3, 5 / 3]), ("inverse", [5 / 3, 5, 5])]
)
def test_class_weights(kind: str, expected: list[float]) -> None:
    labels = np.array([0, 0, 0, 1, 2])
    weights = class_weights(labels, 3, kind)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("first_batch", [0, 3, 6])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_batches_from_memory_equal_streamed_ones(
    index: ImageIndex, dtype: str, views: int, first_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(len(index) * views, 5)).astype(dtype)
    read = []

    class CountedRows(InMemory):
        def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
            for batch in super().batches(order):
                read.append(len(batch))
                yield batch

    def epochs_of_three() -> list[tuple[np.ndarray, ...]]:
        weights = np.linspace(0.3, 1.7, len(index.class_names), dtype=np.float32)
        source = CountedRows(rows)
        plan = BatchPlan(BATCH, 7, stage=1, views=views, batches=12)
        data = training_dataset(index, source, plan, weights, one_sigmoid=False, first_batch=first_batch)
        return taken(data, 12 - first_batch)

    held = epochs_of_three()
    assert read == [len(rows)]
    monkeypatch.setattr(pipeline, "IN_MEMORY_BYTES", 0)
    assert len(held) == 12 - first_batch
    assert same(held, epochs_of_three())
    assert len(read) > 2
