"""Batches for training and evaluation: pixels or activations, with targets and weights."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.data.augmentation import Augmentation
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Batches

if TYPE_CHECKING:
    import tensorflow as tf


ELEMENTS_AHEAD = 2  # batches, or groups of them, that are ready before a step asks for them
GROUP_BYTES = 1 << 23  # of rows that are read and made ready together, or stay in memory
HELD_BYTES = 1 << 26  # of a training split's rows and their orders that TensorFlow holds; more is read from disk


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


def training_batches(
    count: int, batch_size: int, seed: tuple[int, ...], replicas: int = 1, first_epoch: int = 0
) -> Iterator[np.ndarray]:
    """Yield for ever the positions of a batch; every epoch shows each image once, in a new order.

    Args:
        count: number of training images.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        seed: of the orders.
        replicas: devices that share each batch. Their gradients are averaged, so that their shares must be equal: the
            last batch of an epoch is filled up with the epoch's first images, as PyTorch's DistributedSampler does.
        first_epoch: from which on, counted from 0.
    """
    for epoch in itertools.count(first_epoch):
        order = np.random.default_rng((*seed, epoch)).permutation(count).astype(np.int32)
        order = np.concatenate([order, np.resize(order, -count % replicas)])
        for start in range(0, count, batch_size):
            yield order[start : start + batch_size]


def evaluation_dataset(
    index: ImageIndex, given: Batches, batch_size: int, one_sigmoid: bool, weights: np.ndarray | None = None
) -> tf.data.Dataset:
    """Return the images, or their activations, and targets of a split in the index's order, without augmentation.

    Called in the scope of the strategy that trains, as `training_dataset`.

    Args:
        index: the images of one split.
        given: gives their pixels, or what stands for them.
        batch_size: images in a batch.
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        weights: of each class, float32 (classes,), the third part of every batch; None leaves it out.
    """
    import tensorflow as tf

    order = list(evaluation_batches(index, batch_size, tf.distribute.get_strategy().num_replicas_in_sync))

    def generate() -> Iterator[tuple]:
        for positions, values in zip(order, given.batches(iter(order)), strict=True):
            yield values, index.labels[positions]

    dataset = tf.data.Dataset.from_generator(generate, output_signature=_signature(given, []))
    classes = len(index.class_names)

    @tf.autograph.experimental.do_not_convert  # which takes longer than an epoch of a head alone
    def to_example(values: Any, labels: Any) -> tuple:
        targets = tf.one_hot(labels, classes)
        example = (tf.cast(values, tf.float32), _targets(targets, one_sigmoid))
        return example if weights is None else (*example, tf.linalg.matvec(targets, tf.constant(weights)))

    dataset = dataset.map(to_example).apply(tf.data.experimental.assert_cardinality(len(order)))
    # Small ones stay in memory: to start reading again takes as long as an epoch of a head alone.
    small = len(index) * int(np.prod(given.shape)) * np.dtype(np.float32).itemsize <= GROUP_BYTES
    return dataset.cache() if small else dataset.prefetch(2)


def training_dataset(
    index: ImageIndex,
    given: Batches,
    batch_size: int,
    augmentation: Augmentation | None,
    weights: np.ndarray,
    seed: int,
    one_sigmoid: bool,
    stage: int = 0,
    views: int = 1,
    first_batch: int = 0,
    batches: int | None = None,
) -> tf.data.Dataset:
    """Return shuffled batches of augmented training images, or their activations, with targets and weights.

    What happens to an image depends on the seed, the stage, the epoch and the image alone, so the same command sees the
    same pixels however the work is spread over threads. The batches are endless, but for small activations, which are
    held in memory as long as a stage lasts. Called in the scope of the strategy that trains, which may divide the
    batches.

    Args:
        index: the training images.
        given: gives their pixels, or what stands for them.
        batch_size: images in a batch.
        augmentation: the random changes; None leaves what is given as it is.
        weights: of each class, float32 (classes,).
        seed: of order, augmentation and choice of views.
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        stage: number of the stage; each has orders and augmentations of its own.
        views: rows that are given for each image, one after the other; an epoch takes one of them.
        first_batch: how many batches of the stage are left out, because they were trained on before.
        batches: of the whole stage; None where that is not known, and nothing is held in memory.

    Raises:
        HeadstartError: when the devices cannot share a batch evenly.
    """
    import tensorflow as tf

    classes = len(index.class_names)
    # Small rows come in groups of batches: to hand one over takes longer than a step of a head alone.
    row_bytes = int(np.prod(given.shape)) * given.dtype.itemsize
    group = batch_size * max(1, GROUP_BYTES // (batch_size * row_bytes)) if augmentation is None else batch_size
    groups = -(-len(index) // group)  # in an epoch
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % replicas:
        raise HeadstartError(
            f"Expected batch_size to be a multiple of {replicas}, the number of GPUs. Received: {batch_size}"
        )

    in_epoch = -(-len(index) // batch_size)
    first_epoch, behind = divmod(first_batch, in_epoch)
    class_weight = tf.constant(weights)

    @tf.autograph.experimental.do_not_convert  # which takes longer than an epoch of a head alone
    def to_example(values: Any, labels: Any, seeds: Any) -> tuple:
        values = tf.cast(values, tf.float32)
        targets = tf.one_hot(labels, classes)
        if augmentation is not None:
            values = augmentation.images(values, seeds)
            values, targets = augmentation.mix(values, targets, seeds[0])
        # A mixed image weighs what its parts weigh.
        return values, _targets(targets, one_sigmoid), tf.linalg.matvec(targets, class_weight)

    if augmentation is None and batches is not None:
        order = training_batches(len(index), batch_size, (seed, stage), replicas, first_epoch)
        order = itertools.islice(order, behind, behind + batches - first_batch)
        numbers = len(index) * views * int(np.prod(given.shape)) + (batches - first_batch) * batch_size
        if numbers * np.dtype(np.float32).itemsize <= HELD_BYTES:
            with tf.device("CPU:0"):  # where tf.data works
                rows = next(iter(given.batches(iter([np.arange(len(index) * views)]))))
                held = to_example(rows, np.repeat(index.labels, views), None)
            return _held(held, list(_choose_views(order, len(index), in_epoch, views, (seed, stage), first_batch)))

    first_in_epoch, left_out = divmod(behind, group // batch_size)
    first = first_epoch * groups + first_in_epoch

    def generate() -> Iterator[tuple]:
        every = training_batches(len(index), group, (seed, stage), replicas, first_epoch)
        order, again = itertools.tee(itertools.islice(every, first_in_epoch, None))
        values = given.batches(_choose_views(again, len(index), groups, views, (seed, stage), first))
        for number, (positions, batch) in enumerate(zip(order, values, strict=True), first):
            epoch_seed = np.random.SeedSequence((seed, stage, number // groups)).generate_state(1)[0] >> 1
            yield batch, index.labels[positions], np.stack([np.full_like(positions, epoch_seed), positions], axis=1)

    dataset = tf.data.Dataset.from_generator(
        generate, output_signature=_signature(given, [tf.TensorSpec((None, 2), tf.int32)])
    )
    dataset = _made_ahead(dataset.map(to_example, num_parallel_calls=2, deterministic=True))
    if group > batch_size:
        dataset = dataset.flat_map(lambda *rows: tf.data.Dataset.from_tensor_slices(rows).batch(batch_size))
    return dataset.skip(left_out) if left_out else dataset


def _held(examples: tuple, batches: list[np.ndarray]) -> tf.data.Dataset:
    """Return batches of examples in memory, which TensorFlow puts together without calling Python.

    Args:
        examples: tensors with a row for each example.
        batches: rows of each batch.
    """
    import tensorflow as tf

    rows, ends = tf.constant(np.concatenate(batches)), np.cumsum([len(batch) for batch in batches])
    starts = np.concatenate([[0], ends[:-1]])

    @tf.autograph.experimental.do_not_convert
    def take(start: tf.Tensor, end: tf.Tensor) -> tuple:
        return tuple(tf.gather(part, rows[start:end]) for part in examples)

    return tf.data.Dataset.from_tensor_slices((starts, ends)).map(take).prefetch(ELEMENTS_AHEAD)


def _made_ahead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return an endless dataset whose next elements are made in a thread while the network trains.

    TensorFlow's own `prefetch` would, but has no effect in deterministic runs (TensorFlow 2.21) on a dataset that calls
    Python, as this one does. A single thread keeps the order.
    """
    import tensorflow as tf

    def generate() -> Iterator[tuple]:
        elements = iter(dataset)
        thread = ThreadPoolExecutor(1)
        try:
            ahead = collections.deque(thread.submit(next, elements) for _ in range(ELEMENTS_AHEAD))
            while True:
                yield ahead.popleft().result()
                ahead.append(thread.submit(next, elements))
        finally:
            thread.shutdown(cancel_futures=True)

    return tf.data.Dataset.from_generator(generate, output_signature=dataset.element_spec)


def _choose_views(
    order: Iterator[np.ndarray], count: int, steps: int, views: int, seed: tuple[int, ...], first: int
) -> Iterator[np.ndarray]:
    """Yield the rows of the images' views that each epoch takes; the first array is not that of number 0 always."""
    if views == 1:
        yield from order
        return
    chosen = np.zeros(count, np.int64)
    for number, positions in enumerate(order, first):
        if number % steps == 0 or number == first:  # apart from the generator of the orders by the last number
            chosen = np.random.default_rng((*seed, number // steps, 1)).integers(0, views, count)
        yield positions.astype(np.int64) * views + chosen[positions]


def _targets(one_hot: Any, one_sigmoid: bool) -> Any:
    return one_hot[:, 1:] if one_sigmoid else one_hot


def _signature(given: Batches, more: list) -> tuple:
    import tensorflow as tf

    return (tf.TensorSpec((None, *given.shape), given.dtype), tf.TensorSpec((None,), tf.int32), *more)
