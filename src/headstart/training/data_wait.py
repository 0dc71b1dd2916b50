"""How long training waits for its input: whether the model or its input is what a stage spends its time on."""

from __future__ import annotations

import collections
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headstart.training.step_groups import length_of_group


class DataWaitTimer(keras.callbacks.Callback):
    """Measures the share of a stage's training steps that was spent waiting for their batches.

    The input notes when a batch is asked for and when it is ready, the callback when a step begins and ends: where the
    batch came later than the step could begin, the step waited. Of steps that return together only the first and the
    last batch are noted: to call Python for each takes as long as such a step. What comes first in a stage is left out,
    because it builds the graph; so is validation.
    """

    def __init__(self, steps_at_once: int = 1, steps: int | None = None) -> None:
        """Start with no time.

        Args:
            steps_at_once: steps between two calls of a callback.
            steps: batches in an epoch, whose last steps at once may be fewer; None where all are as many.
        """
        super().__init__()
        self._steps_at_once, self._steps = steps_at_once, steps or steps_at_once
        self._first = 0  # number of the first batch in the stage
        # When the first batch of a group was asked for, and when its first and last were ready, that no step has had.
        self._asked: collections.deque[float] = collections.deque()
        self._ready: collections.deque[float] = collections.deque()
        self._built: set[int] = set()  # lengths of groups whose graph is built
        self.seconds = 0.0  # that were spent waiting
        self._running = 0.0  # seconds of the steps in all

    def timed(self, dataset: tf.data.Dataset, first_batch: int = 0) -> tf.data.Dataset:
        """Return the same batches; when they are asked for and ready is noted.

        Args:
            dataset: as a stage is fitted on it.
            first_batch: number of its first batch in the stage.
        """
        self._first = first_batch

        def noted(number: tf.Tensor, last_too: bool, times: collections.deque[float]) -> tf.Tensor:
            def note() -> np.int64:
                times.append(time.perf_counter())
                return np.int64(0)

            position = (number + first_batch) % self._steps  # in its epoch
            place = position % self._steps_at_once  # in its group
            ends = tf.logical_or(tf.equal(place, self._steps_at_once - 1), tf.equal(position, self._steps - 1))
            here = tf.logical_or(tf.equal(place, 0), tf.logical_and(last_too, ends))
            return tf.cond(here, lambda: tf.numpy_function(note, [], tf.int64), lambda: tf.zeros((), tf.int64))

        @tf.autograph.experimental.do_not_convert
        def asked(number: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([noted(number, False, self._asked)]):
                return tf.identity(number)

        @tf.autograph.experimental.do_not_convert
        def ready(number: tf.Tensor, batch: tuple) -> tuple:
            with tf.control_dependencies([noted(number, True, self._ready)]):
                return tuple(tf.identity(part) for part in batch)

        return tf.data.Dataset.zip((tf.data.Dataset.counter().map(asked), dataset)).map(ready)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget the batches that Keras looks at beforehand where several devices train."""
        self._asked.clear()
        self._ready.clear()
        self._number = self._first

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add up what one or more steps waited and took."""
        ended = time.perf_counter()
        began = max(self._began, self._asked.popleft())
        count = length_of_group(self._number % self._steps, self._steps, self._steps_at_once)
        ready = {place: self._ready.popleft() for place in sorted({0, count - 1})}
        if count in self._built:
            self.seconds += data_wait_seconds(began, ended, ready, count)
            self._running += ended - self._began
        self._built.add(count)
        self._number += count

    @property
    def share(self) -> float | None:
        """Of the time of the steps, 0 to 1; None where there was none but the first."""
        return self.seconds / self._running if self._running else None


def data_wait_seconds(began: float, ended: float, ready: dict[int, float], count: int) -> float:
    """Return how much of the time of some steps, one after the other and equally long, was spent waiting for batches.

    A step starts when its batch is ready and the step before has ended. So the last one ends at the latest of the
    times at which a batch was ready, plus all the steps from that one on, which gives the length of a step.

    Args:
        began: when the first batch was asked for, seconds.
        ended: when the last step had ended.
        ready: when batches were ready, by their places; the first one and the last one suffice where batches take
            equally long.
        count: of the steps.
    """
    step = min((ended - min(max(began, when), ended)) / (count - place) for place, when in ready.items())
    return ended - began - count * step
