"""The order of images in training and evaluation, and their division into batches."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from tiny import index_of

from headstart.data.batch_order import evaluation_batches, training_batches

BATCH = 8


def epochs(count: int, seed: int, number: int, replicas: int = 1) -> list[list[np.ndarray]]:
    endless = training_batches(count, BATCH, (seed, 0), replicas)
    return [list(itertools.islice(endless, -(-count // BATCH))) for _ in range(number)]


def test_every_epoch_shows_each_image_once_in_a_new_order() -> None:
    orders = [np.concatenate(epoch) for epoch in epochs(30, 0, 3)]
    for order in orders:
        assert sorted(order) == list(range(30))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])
    assert [len(batch) for batch in epochs(30, 0, 1)[0]] == [8, 8, 8, 6]


def test_the_seed_decides_the_order() -> None:
    first, again, other = (np.concatenate(epochs(30, seed, 1)[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_devices_get_equal_shares_of_every_training_batch() -> None:
    for epoch in epochs(29, 0, 2, replicas=4):
        assert [len(batch) for batch in epoch] == [8, 8, 8, 8]
        order = np.concatenate(epoch)
        assert sorted(order[:29]) == list(range(29))
        np.testing.assert_array_equal(order[29:], order[:3])
    assert [len(batch) for batch in epochs(1, 0, 1, replicas=4)[0]] == [4]


@pytest.mark.parametrize(
    ("count", "replicas", "expected"),
    [(30, 1, [8, 8, 8, 6]), (32, 1, [8] * 4), (29, 2, [8, 8, 8, 4, 1]), (7, 2, [6, 1]), (3, 4, [3]), (32, 4, [8] * 4)],
)
def test_evaluation_shows_each_image_once_in_the_order_of_the_index(
    folder: Path, count: int, replicas: int, expected: list[int]
) -> None:
    index = index_of(folder)
    part = index.take(np.arange(count) % len(index))
    order = list(evaluation_batches(part, BATCH, replicas))
    assert [len(batch) for batch in order] == expected
    np.testing.assert_array_equal(np.concatenate(order), np.arange(count))
