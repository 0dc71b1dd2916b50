"""Which images each batch has: the order of training, drawn from seeds, and the order of evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headstart.data.index import ImageIndex


def evaluation_batches(index: ImageIndex, batch_size: int, replicas: int = 1) -> Iterator[np.ndarray]:
    """Yield the positions of an index in its own order, one array per batch.

    Args:
        index: the images.
        batch_size: images per batch; the last one may be smaller.
        replicas: devices that share each batch. The images that they cannot share evenly come last, in a batch by
            themselves, because Keras builds a model from an even first batch.
    """
    even = len(index) - len(index) % replicas
    bounds = sorted({*range(0, even, batch_size), even, len(index)})
    for start, end in itertools.pairwise(bounds):
        yield np.arange(start, end, dtype=np.int32)


def training_batches(
    count: int, batch_size: int, seed: tuple[int, ...], replicas: int = 1, first_epoch: int = 0
) -> Iterator[np.ndarray]:
    """Yield the positions of each batch, endlessly; every epoch has each image once, in a new order.

    Args:
        count: number of training images.
        batch_size: images per batch; the last one of an epoch may be smaller.
        seed: of the orders.
        replicas: devices that share each batch. Their gradients are averaged, so their shares must be equal: the last
            batch of an epoch is filled up with the epoch's first images, as PyTorch's DistributedSampler does.
        first_epoch: epoch to start with, from 0.
    """
    for epoch in itertools.count(first_epoch):
        order = np.random.default_rng((*seed, epoch)).permutation(count).astype(np.int32)
        order = np.concatenate([order, np.resize(order, -count % replicas)])
        for start in range(0, count, batch_size):
            yield order[start : start + batch_size]


@dataclass(frozen=True)
class TrainingOrder:
    """The images and views of every batch of a stage.

    Args:
        count: number of training images.
        size: images per batch.
        seed: of the orders and of the choice of views.
        replicas: devices that share each batch.
        views: rows per image, one after the other; each epoch takes one of them.
    """

    count: int
    size: int
    seed: tuple[int, ...]
    replicas: int = 1
    views: int = 1

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.count // self.size)

    def positions(self, first: int = 0) -> Iterator[np.ndarray]:
        """Yield the positions of the images of each batch, endlessly.

        Args:
            first: number of the batch to start with, counted over the stage.
        """
        epoch, skipped = divmod(first, self.batches_per_epoch)
        batches = training_batches(self.count, self.size, self.seed, self.replicas, epoch)
        return itertools.islice(batches, skipped, None)

    def rows(self, positions: Iterator[np.ndarray], first: int = 0) -> Iterator[np.ndarray]:
        """Yield the row of the view that each image of a batch shows in its epoch.

        Args:
            positions: of the images, from `positions`.
            first: number of the first of these batches, counted over the stage.
        """
        if self.views == 1:
            yield from positions
            return
        chosen = np.zeros(self.count, np.int64)
        for number, batch in enumerate(positions, first):
            epoch, place = divmod(number, self.batches_per_epoch)
            if place == 0 or number == first:  # the 1 makes it a different generator from that of the order
                chosen = np.random.default_rng((*self.seed, epoch, 1)).integers(0, self.views, self.count)
            yield batch.astype(np.int64) * self.views + chosen[batch]


def blocks_of(positions: np.ndarray, size: int = 256) -> list[np.ndarray]:
    """Return positions in blocks, so that rows which may not fit into memory are read a few at a time.

    Args:
        positions: int (n,).
        size: maximum number of positions in a block.
    """
    return [positions[start : start + size] for start in range(0, len(positions), size)]
