"""Groups of steps that run without a return to Python; the last group of an epoch may be shorter."""

from __future__ import annotations

from typing import Any

import keras

MOST_STEPS = 32


def steps_at_once(steps: int) -> int:
    """Return how many steps to group: a divisor of the steps of an epoch, unless all its divisors are small.

    Args:
        steps: batches in an epoch.
    """
    dividing = max(count for count in range(1, MOST_STEPS + 1) if steps % count == 0)
    groups = -(-steps // MOST_STEPS)
    even = -(-steps // groups)  # the last group is shorter
    return dividing if 2 * dividing >= even else even


def length_of_group(position: int, steps: int, at_once: int) -> int:
    """Return the length of the group that starts at a position in an epoch.

    Args:
        position: of the group's first step, 0 to below `steps`.
        steps: batches in an epoch.
        at_once: steps in every group but the last one.
    """
    return min(at_once, steps - position)


class ShorterLastGroup(keras.callbacks.Callback):
    """Ends an epoch after its last step, if the number of steps is not a multiple of the group's.

    Keras would run a full group, whose last steps belong to the next epoch. So the last group has a separate training
    function, on the same model and iterator. Keras still passes callbacks the number of a full group's last step.
    """

    def __init__(self, steps: int, at_once: int, first_epoch: int = 0, skipped: int = 0) -> None:
        """Start without training functions.

        Args:
            steps: batches in an epoch.
            at_once: steps in every group but the last one; the model is compiled with it.
            first_epoch: epoch in which the fit begins.
            skipped: steps of that epoch that are done already; a multiple of `at_once`.
        """
        super().__init__()
        self._steps, self._at_once, self._first_epoch, self._skipped = steps, at_once, first_epoch, skipped
        self._functions: dict[int, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the step at which the epoch begins."""
        self._start = self._skipped if epoch == self._first_epoch else 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Choose the training function with the number of steps of the group."""
        count = length_of_group(self._start + batch, self._steps, self._at_once)
        self.model.steps_per_execution = count  # Keras reads it when it traces a function, in the first call
        if count not in self._functions:
            self.model.make_train_function(force=True)
            self._functions[count] = self.model.train_function
        self.model.train_function = self._functions[count]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Restore the compiled number of steps, which validation uses too."""
        self.model.steps_per_execution = self._at_once
