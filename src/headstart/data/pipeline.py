"""Batches of pixels for training and evaluation, streamed from the files."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.data.augment import Augmentation
from headstart.data.images import load_image
from headstart.data.index import ImageIndex
from headstart.errors import HeadstartError

if TYPE_CHECKING:
    import tensorflow as tf

LOADING_THREADS = 4  # decoding leaves Python's lock; a few more threads than cores hide the disk
BATCHES_AHEAD = 3  # bounds what is in memory: batches being decoded, beside the two that wait


def class_weights(labels: np.ndarray, classes: int, kind: str) -> np.ndarray:
    """Return the weight of an image of each class, (classes,) float32.

    Args:
        labels: class of every training image, int (n,).
        classes: number of classes, all of them present in `labels`.
        kind: `none` (all 1), `balanced` (total / (classes * count), as in scikit-learn) or `inverse` (total / count).
    """
    if kind == "none":
        return np.ones(classes, np.float32)
    weights = len(labels) / np.bincount(labels, minlength=classes)
    return (weights / classes if kind == "balanced" else weights).astype(np.float32)


def batches(index: ImageIndex, order: Iterator[np.ndarray], image_size: int, resize: str) -> Iterator[tuple]:
    """Yield decoded batches in the given order while the next ones are being decoded.

    Args:
        index: the images.
        order: positions in the index, one array a batch.
        image_size: side of the pictures in pixels.
        resize: `stretch`, `crop` or `pad`.

    Yields:
        uint8 images (batch, size, size, 3), int32 labels (batch,), int32 positions (batch,).
    """
    with ThreadPoolExecutor(LOADING_THREADS) as threads:
        waiting: collections.deque[tuple[np.ndarray, list[Future]]] = collections.deque()

        def finish() -> tuple:
            positions, futures = waiting.popleft()
            return np.stack([future.result() for future in futures]), index.labels[positions], positions

        try:
            for positions in order:
                futures = [threads.submit(load_image, index.file(int(i)), image_size, resize) for i in positions]
                waiting.append((positions, futures))
                if len(waiting) > BATCHES_AHEAD:
                    yield finish()
            while waiting:
                yield finish()
        finally:  # the reader stopped early: do not decode what nobody will see
            for _, futures in waiting:
                for future in futures:
                    future.cancel()


def evaluation_batches(index: ImageIndex, batch_size: int, replicas: int = 1) -> Iterator[np.ndarray]:
    """Yield the positions of an index in its own order, one array a batch.

    Args:
        index: the images.
        batch_size: images in a batch; the last one may be smaller.
        replicas: devices that share each batch; what they cannot share evenly comes as a batch of its own at the end,
            because Keras builds a model from an even first batch.
    """
    even = len(index) - len(index) % replicas
    bounds = sorted({*range(0, even, batch_size), even, len(index)})
    for start, end in itertools.pairwise(bounds):
        yield np.arange(start, end, dtype=np.int32)


def training_batches(count: int, batch_size: int, seed: tuple[int, ...], replicas: int = 1) -> Iterator[np.ndarray]:
    """Yield for ever the positions of a batch; every epoch shows each image once, in a new order.

    Args:
        count: number of training images.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        seed: of the orders.
        replicas: devices that share each batch. Their gradients are averaged, so that their shares must be equal: the
            last batch of an epoch is filled up with the epoch's first images, as PyTorch's DistributedSampler does.
    """
    for epoch in itertools.count():
        order = np.random.default_rng((*seed, epoch)).permutation(count).astype(np.int32)
        order = np.concatenate([order, np.resize(order, -count % replicas)])
        for start in range(0, count, batch_size):
            yield order[start : start + batch_size]


def evaluation_dataset(
    index: ImageIndex,
    image_size: int,
    resize: str,
    batch_size: int,
    one_sigmoid: bool,
    activations: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Return the images, or their activations, and targets of a split in the index's order, without augmentation.

    Called in the scope of the strategy that trains, as `training_dataset`.

    Args:
        index: the images of one split.
        image_size: side in pixels.
        resize: `stretch`, `crop` or `pad`.
        batch_size: images in a batch.
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        activations: what stands for the images, a row for each; None reads their pixels.
        weights: of each class, float32 (classes,), the third part of every batch; None leaves it out.
    """
    import tensorflow as tf

    order = list(evaluation_batches(index, batch_size, tf.distribute.get_strategy().num_replicas_in_sync))

    def generate() -> Iterator[tuple]:
        for images, labels, _ in _read(index, iter(order), image_size, resize, activations):
            yield images, labels

    dataset = tf.data.Dataset.from_generator(generate, output_signature=_signature(image_size, activations, []))
    classes = len(index.class_names)

    def to_example(images: Any, labels: Any) -> tuple:
        targets = tf.one_hot(labels, classes)
        example = (tf.cast(images, tf.float32), _targets(targets, one_sigmoid))
        return example if weights is None else (*example, tf.linalg.matvec(targets, tf.constant(weights)))

    return dataset.map(to_example).apply(tf.data.experimental.assert_cardinality(len(order))).prefetch(2)


def training_dataset(
    index: ImageIndex,
    image_size: int,
    resize: str,
    batch_size: int,
    augmentation: Augmentation,
    weights: np.ndarray,
    seed: int,
    one_sigmoid: bool,
    stage: int = 0,
    activations: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Return endless shuffled batches of augmented training images, or their activations, with targets and weights.

    What happens to an image depends on the seed, the stage, the epoch and the image alone, so the same command sees the
    same pixels however the work is spread over threads. Called in the scope of the strategy that trains, which may
    divide the batches.

    Args:
        index: the training images.
        image_size: side in pixels.
        resize: `stretch`, `crop` or `pad`.
        batch_size: images in a batch.
        augmentation: the random changes.
        weights: of each class, float32 (classes,).
        seed: of order and augmentation.
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        stage: number of the stage; each has orders and augmentations of its own.
        activations: what stands for the images, a row for each, which are then not augmented; None reads their pixels.

    Raises:
        HeadstartError: when the devices cannot share a batch evenly.
    """
    import tensorflow as tf

    classes = len(index.class_names)
    steps = -(-len(index) // batch_size)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % replicas:
        raise HeadstartError(
            f"Expected batch_size to be a multiple of {replicas}, the number of GPUs. Received: {batch_size}"
        )

    def generate() -> Iterator[tuple]:
        order = training_batches(len(index), batch_size, (seed, stage), replicas)
        for number, (images, labels, positions) in enumerate(_read(index, order, image_size, resize, activations)):
            epoch_seed = np.random.SeedSequence((seed, stage, number // steps)).generate_state(1)[0] >> 1
            yield images, labels, np.stack([np.full_like(positions, epoch_seed), positions], axis=1)

    signature = _signature(image_size, activations, [tf.TensorSpec((None, 2), tf.int32)])
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    class_weight = tf.constant(weights)

    def to_example(images: Any, labels: Any, seeds: Any) -> tuple:
        images = tf.cast(images, tf.float32)
        if augmentation.changes_images:
            images = augmentation.images(images, seeds)
        targets = tf.one_hot(labels, classes)
        if augmentation.mixes:
            images, targets = augmentation.mix(images, targets, seeds[0])
        # A mixed image weighs what its parts weigh.
        return images, _targets(targets, one_sigmoid), tf.linalg.matvec(targets, class_weight)

    return dataset.map(to_example, num_parallel_calls=2, deterministic=True).prefetch(2)


def _targets(one_hot: Any, one_sigmoid: bool) -> Any:
    return one_hot[:, 1:] if one_sigmoid else one_hot


def _read(
    index: ImageIndex, order: Iterator[np.ndarray], image_size: int, resize: str, activations: np.ndarray | None
) -> Iterator[tuple]:
    """Yield batches as `batches` does, with rows of activations in place of pixels where there are some."""
    if activations is None:
        yield from batches(index, order, image_size, resize)
        return
    for positions in order:
        yield activations[positions], index.labels[positions], positions


def _signature(image_size: int, activations: np.ndarray | None, more: list) -> tuple:
    import tensorflow as tf

    images = tf.TensorSpec((None, image_size, image_size, 3), tf.uint8)
    if activations is not None:
        images = tf.TensorSpec((None, *activations.shape[1:]), activations.dtype)
    return (images, tf.TensorSpec((None,), tf.int32), *more)
