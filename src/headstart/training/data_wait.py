"""How long training waits for data: whether the model or its input limits the speed of a stage."""

from __future__ import annotations

import collections
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headstart.training.step_groups import length_of_group


class DataWaitTimer(keras.callbacks.Callback):
    """Measures the fraction of a stage's training steps that was spent waiting for their batches.

    The input records when a batch is requested and when it is ready, the callback when a step begins and ends. If the
    batch came later than the step could begin, the step waited. Of steps that return together, only the first and the
    last batch are recorded: to call Python for each takes as long as such a step. The first steps of a stage do not
    count, because they build the graph; nor does validation.
    """

    def __init__(self, steps_at_once: int = 1, steps: int | None = None) -> None:
        """Start at zero.

        Args:
            steps_at_once: steps between two calls of a callback.
            steps: batches in an epoch, whose last group of steps may be shorter; None if all groups are equally long.
        """
        super().__init__()
        self._steps_at_once, self._steps = steps_at_once, steps or steps_at_once
        self._first = 0  # number of the first batch in the stage
        # Of the groups that no step has taken yet: when the first batch was requested, and when the first and the last
        # one were ready.
        self._requested: collections.deque[float] = collections.deque()
        self._ready: collections.deque[float] = collections.deque()
        self._built: set[int] = set()  # lengths of the groups whose graph is built
        self.seconds = 0.0  # spent waiting
        self._step_seconds = 0.0  # of all steps, waiting included

    def timed(self, dataset: tf.data.Dataset, first_batch: int = 0) -> tf.data.Dataset:
        """Return the same batches, and record when each is requested and ready.

        Args:
            dataset: the training batches of a stage.
            first_batch: number of its first batch in the stage.
        """
        self._first = first_batch

        def record_time(number: tf.Tensor, last_too: bool, times: collections.deque[float]) -> tf.Tensor:
            def append() -> np.int64:
                times.append(time.perf_counter())
                return np.int64(0)

            position = (number + first_batch) % self._steps  # in its epoch
            place = position % self._steps_at_once  # in its group
            ends = tf.logical_or(tf.equal(place, self._steps_at_once - 1), tf.equal(position, self._steps - 1))
            here = tf.logical_or(tf.equal(place, 0), tf.logical_and(last_too, ends))
            return tf.cond(here, lambda: tf.numpy_function(append, [], tf.int64), lambda: tf.zeros((), tf.int64))

        @tf.autograph.experimental.do_not_convert
        def requested(number: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([record_time(number, False, self._requested)]):
                return tf.identity(number)

        @tf.autograph.experimental.do_not_convert
        def ready(number: tf.Tensor, batch: tuple) -> tuple:
            with tf.control_dependencies([record_time(number, True, self._ready)]):
                return tuple(tf.identity(part) for part in batch)

        return tf.data.Dataset.zip((tf.data.Dataset.counter().map(requested), dataset)).map(ready)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget the batches that Keras reads beforehand when several devices train."""
        self._requested.clear()
        self._ready.clear()
        self._number = self._first

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add up how long one or more steps waited and took."""
        ended = time.perf_counter()
        began = max(self._began, self._requested.popleft())
        count = length_of_group(self._number % self._steps, self._steps, self._steps_at_once)
        ready = {place: self._ready.popleft() for place in sorted({0, count - 1})}
        if count in self._built:
            self.seconds += data_wait_seconds(began, ended, ready, count)
            self._step_seconds += ended - self._began
        self._built.add(count)
        self._number += count

    @property
    def fraction(self) -> float | None:
        """Fraction of the step time that was spent waiting, 0 to 1; None if there was only the first group."""
        return self.seconds / self._step_seconds if self._step_seconds else None


def data_wait_seconds(began: float, ended: float, ready: dict[int, float], count: int) -> float:
    """Return how long some consecutive, equally long steps waited for their batches, seconds.

    A step starts when its batch is ready and the step before has ended. So the last one ends at the latest time
    at which a batch was ready, plus the length of all steps from there on, which gives the length of a step.

    Args:
        began: when the first batch was requested, seconds.
        ended: when the last step had ended.
        ready: when batches were ready, by their places; the first and the last one suffice if batches take equally
            long.
        count: number of steps.
    """
    step = min((ended - min(max(began, when), ended)) / (count - place) for place, when in ready.items())
    return ended - began - count * step
