"""How long training waits for its input: whether the model or its input is what a stage spends its time on."""

from __future__ import annotations

import collections
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class WaitingForInput(keras.callbacks.Callback):
    """Measures the share of a stage's training steps that was spent waiting for their batches.

    The input notes when each batch is ready, the callback when a step begins and ends: where the batch came later than
    the step began, the step waited. What comes first in a stage is left out, because it builds the graph; so is
    validation.
    """

    def __init__(self, steps_at_once: int = 1) -> None:
        """Start with no time.

        Args:
            steps_at_once: steps between two calls of a callback.
        """
        super().__init__()
        self._steps_at_once = steps_at_once
        self._ready: collections.deque[float] = collections.deque()  # when each batch was that no step has had
        self._graph_is_built = False
        self.seconds = 0.0  # that were spent waiting
        self._running = 0.0  # seconds of the steps in all

    def timed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches; when each is ready is noted.

        Args:
            dataset: endless, as a stage is fitted on it.
        """

        def note(number: np.ndarray) -> np.ndarray:
            self._ready.append(time.perf_counter())
            return number

        def passed_on(*batch: tf.Tensor) -> tuple:
            with tf.control_dependencies([tf.numpy_function(note, [0], tf.int32), *batch]):
                return tuple(tf.identity(part) for part in batch)

        return dataset.map(passed_on)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forget the batches that Keras looks at beforehand where several devices train."""
        self._ready.clear()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add up what one or more steps waited and took."""
        ended = time.perf_counter()
        ready = [self._ready.popleft() for _ in range(self._steps_at_once)]
        if self._graph_is_built:
            self.seconds += waiting_seconds(self._began, ended, ready)
            self._running += ended - self._began
        self._graph_is_built = True

    @property
    def share(self) -> float | None:
        """Of the time of the steps, 0 to 1; None where there was none but the first."""
        return self.seconds / self._running if self._running else None


def waiting_seconds(began: float, ended: float, ready: list[float]) -> float:
    """Return how much of the time of some steps, one after the other and equally long, was spent waiting for batches.

    A step starts when its batch is ready and the step before has ended. So the last one ends at the latest of the
    times at which a batch was ready, plus all the steps from that one on, which gives the length of a step.

    Args:
        began: when the first batch was asked for, seconds.
        ended: when the last step had ended.
        ready: when the batch of each step was ready.
    """
    count = len(ready)
    step = min((ended - min(max(began, when), ended)) / (count - place) for place, when in enumerate(ready))
    return ended - began - count * step
