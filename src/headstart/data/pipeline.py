"""Batches for training and evaluation: pixels or activations, with targets and weights."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.data.augmentation import Augmentation
from headstart.data.batch_order import TrainingOrder, evaluation_batches
from headstart.data.index import ImageIndex
from headstart.data.pixel_cache import Batches

if TYPE_CHECKING:
    import tensorflow as tf

PREFETCHED = 2  # batches, or groups of them, that are ready before a step needs them
GROUP_BYTES = 1 << 23  # rows that are read and prepared together, or that evaluation keeps in memory
IN_MEMORY_BYTES = 1 << 26  # the largest training split, with its orders, that is trained from memory

MakeExamples = Callable[[Any, Any, Any], tuple]  # rows, labels and seeds to inputs, targets and weights


@dataclass(frozen=True)
class BatchPlan:
    """How a stage divides the training images into batches.

    Args:
        batch_size: images per batch.
        seed: of the order, the augmentation and the choice of views.
        stage: number of the stage; each has its own orders and augmentations.
        views: rows per image, one after the other; each epoch takes one of them.
        batches: number of batches in the whole stage; None if unknown, and then nothing is trained from memory.
    """

    batch_size: int
    seed: int
    stage: int = 0
    views: int = 1
    batches: int | None = None

    def order(self, count: int, size: int, replicas: int) -> TrainingOrder:
        """Return the order of the images, `size` at a time."""
        return TrainingOrder(count, size, (self.seed, self.stage), replicas, self.views)


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


def evaluation_dataset(
    index: ImageIndex, source: Batches, batch_size: int, one_sigmoid: bool, weights: np.ndarray | None = None
) -> tf.data.Dataset:
    """Return inputs and targets of a split in the index's order, without augmentation.

    Call it in the scope of the strategy that trains, like `training_dataset`.

    Args:
        index: the images of one split.
        source: reads their pixels or activations.
        batch_size: images per batch.
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        weights: of each class, float32 (classes,), the third part of every batch; None leaves it out.
    """
    import tensorflow as tf

    order = list(evaluation_batches(index, batch_size, tf.distribute.get_strategy().num_replicas_in_sync))

    def generate() -> Iterator[tuple]:
        for positions, values in zip(order, source.batches(iter(order)), strict=True):
            yield values, index.labels[positions]

    dataset = tf.data.Dataset.from_generator(generate, output_signature=_signature(source, []))
    classes = len(index.class_names)

    @tf.autograph.experimental.do_not_convert  # autograph takes longer than an epoch of a head alone
    def to_example(values: Any, labels: Any) -> tuple:
        targets = tf.one_hot(labels, classes)
        example = (tf.cast(values, tf.float32), _targets(targets, one_sigmoid))
        return example if weights is None else (*example, tf.linalg.matvec(targets, tf.constant(weights)))

    dataset = dataset.map(to_example).apply(tf.data.experimental.assert_cardinality(len(order)))
    # Small splits stay in memory: to start reading again takes as long as an epoch of a head alone.
    small = len(index) * int(np.prod(source.shape)) * np.dtype(np.float32).itemsize <= GROUP_BYTES
    return with_fixed_threads(dataset.cache() if small else dataset.prefetch(2))


def training_dataset(
    index: ImageIndex,
    source: Batches,
    plan: BatchPlan,
    weights: np.ndarray,
    one_sigmoid: bool,
    augmentation: Augmentation | None = None,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Return shuffled batches of augmented training images, or of their activations, with targets and weights.

    The seed, the stage, the epoch and the image alone decide how an image is augmented, so the same command sees the
    same pixels whatever the threads do. The batches are endless, except those of small activations, which are held in
    memory and end with the stage. Call it in the scope of the strategy that trains, which may divide the batches.

    Args:
        index: the training images.
        source: reads their pixels or activations.
        plan: divides the images into batches.
        weights: of each class, float32 (classes,).
        one_sigmoid: whether the target is one column, 1 for the second class, instead of one column per class.
        augmentation: the random changes; None trains on the rows as they are.
        first_batch: number of batches of the stage to skip, because they were trained on before.

    Raises:
        HeadstartError: when the devices cannot share a batch evenly.
    """
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if plan.batch_size % replicas:
        raise HeadstartError(
            f"Expected batch_size to be a multiple of {replicas}, the number of GPUs. Received: {plan.batch_size}"
        )
    make_examples = _example_maker(len(index.class_names), weights, one_sigmoid, augmentation)
    order = plan.order(len(index), plan.batch_size, replicas)
    if augmentation is None and plan.batches is not None:
        batches = plan.batches - first_batch
        if _fits_in_memory(order, source, batches):
            numbers = range(first_batch, first_batch + batches)
            return with_fixed_threads(_dataset_in_memory(index, source, order, make_examples, numbers))
    # Small rows come in groups of batches: to hand one over takes longer than a step of a head alone.
    row_bytes = int(np.prod(source.shape)) * source.dtype.itemsize
    together = 1 if augmentation is not None else max(1, GROUP_BYTES // (plan.batch_size * row_bytes))
    groups = plan.order(len(index), together * plan.batch_size, replicas)
    epoch, batch = divmod(first_batch, order.batches_per_epoch)
    group, skipped = divmod(batch, together)
    dataset = _streamed_dataset(index, source, groups, make_examples, epoch * groups.batches_per_epoch + group)
    if together > 1:
        dataset = dataset.flat_map(lambda *rows: tf.data.Dataset.from_tensor_slices(rows).batch(plan.batch_size))
    return with_fixed_threads(dataset.skip(skipped) if skipped else dataset)


def with_fixed_threads(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset without tf.data's autotuning of threads and buffers.

    The thread that tunes (TensorFlow 2.21) sleeps longer and longer, and closing the dataset may wait until it wakes:
    30 steps that took 3.2 s returned after 5.1 s.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _example_maker(
    classes: int, weights: np.ndarray, one_sigmoid: bool, augmentation: Augmentation | None
) -> MakeExamples:
    """Return the function from rows, labels and seeds (n, 2) to inputs, targets and weights."""
    import tensorflow as tf

    class_weight = tf.constant(weights)

    @tf.autograph.experimental.do_not_convert  # autograph takes longer than an epoch of a head alone
    def make_examples(values: Any, labels: Any, seeds: Any) -> tuple:
        values = tf.cast(values, tf.float32)
        targets = tf.one_hot(labels, classes)
        if augmentation is not None:
            values = augmentation.images(values, seeds)
            values, targets = augmentation.mix(values, targets, seeds[0])
        # A mixed image has the mean weight of its parts.
        return values, _targets(targets, one_sigmoid), tf.linalg.matvec(targets, class_weight)

    return make_examples


def _fits_in_memory(order: TrainingOrder, source: Batches, batches: int) -> bool:
    """Return whether all rows and the order of so many batches may be held in memory."""
    numbers = order.count * order.views * int(np.prod(source.shape)) + batches * order.size
    return numbers * np.dtype(np.float32).itemsize <= IN_MEMORY_BYTES


def _dataset_in_memory(
    index: ImageIndex, source: Batches, order: TrainingOrder, make_examples: MakeExamples, numbers: range
) -> tf.data.Dataset:
    """Return some batches of a stage from memory, which TensorFlow gathers without calling Python.

    Args:
        index: the training images.
        source: reads their rows.
        order: of the batches.
        make_examples: from `_example_maker`.
        numbers: of the batches, counted over the stage.
    """
    import tensorflow as tf

    with tf.device("CPU:0"):  # where tf.data works
        rows = next(iter(source.batches(iter([np.arange(order.count * order.views)]))))
        examples = make_examples(rows, np.repeat(index.labels, order.views), None)
    positions = itertools.islice(order.positions(numbers.start), len(numbers))
    batches = list(order.rows(positions, numbers.start))
    chosen, ends = tf.constant(np.concatenate(batches)), np.cumsum([len(batch) for batch in batches])
    starts = np.concatenate([[0], ends[:-1]])

    @tf.autograph.experimental.do_not_convert
    def take(start: tf.Tensor, end: tf.Tensor) -> tuple:
        return tuple(tf.gather(part, chosen[start:end]) for part in examples)

    return tf.data.Dataset.from_tensor_slices((starts, ends)).map(take).prefetch(PREFETCHED)


def _streamed_dataset(
    index: ImageIndex, source: Batches, order: TrainingOrder, make_examples: MakeExamples, first: int
) -> tf.data.Dataset:
    """Return the batches of a stage, endlessly, read from their source as they are needed.

    Args:
        index: the training images.
        source: reads their rows.
        order: of the batches.
        make_examples: from `_example_maker`.
        first: number of the batch to start with, counted over the stage.
    """
    import tensorflow as tf

    def generate() -> Iterator[tuple]:
        positions, again = itertools.tee(order.positions(first))
        batches = source.batches(order.rows(again, first))
        for number, (chosen, values) in enumerate(zip(positions, batches, strict=True), first):
            epoch = number // order.batches_per_epoch
            epoch_seed = np.random.SeedSequence((*order.seed, epoch)).generate_state(1)[0] >> 1
            yield values, index.labels[chosen], np.stack([np.full_like(chosen, epoch_seed), chosen], axis=1)

    signature = _signature(source, [tf.TensorSpec((None, 2), tf.int32)])
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return _prefetched(dataset.map(make_examples, num_parallel_calls=2, deterministic=True))


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return an endless dataset whose next elements a thread prepares while the network trains.

    TensorFlow's own `prefetch` has no effect in deterministic runs (TensorFlow 2.21) on a dataset that calls Python, as
    this one does. A single thread keeps the order.
    """
    import tensorflow as tf

    def generate() -> Iterator[tuple]:
        elements = iter(dataset)
        thread = ThreadPoolExecutor(1)
        try:
            ahead = collections.deque(thread.submit(next, elements) for _ in range(PREFETCHED))
            while True:
                yield ahead.popleft().result()
                ahead.append(thread.submit(next, elements))
        finally:
            thread.shutdown(cancel_futures=True)

    return tf.data.Dataset.from_generator(generate, output_signature=dataset.element_spec)


def _targets(one_hot: Any, one_sigmoid: bool) -> Any:
    return one_hot[:, 1:] if one_sigmoid else one_hot


def _signature(source: Batches, more: list) -> tuple:
    import tensorflow as tf

    return (tf.TensorSpec((None, *source.shape), source.dtype), tf.TensorSpec((None,), tf.int32), *more)
