"""Steps that are done together: as many as keep Python out of the way, and the last ones of an epoch, if fewer."""

from __future__ import annotations

from typing import Any

import keras

MOST_STEPS = 32


def steps_at_once(steps: int) -> int:
    """Return how many steps to do at once: a number that divides those of an epoch, unless all such are small.

    Args:
        steps: batches in an epoch.
    """
    dividing = max(count for count in range(1, MOST_STEPS + 1) if steps % count == 0)
    groups = -(-steps // MOST_STEPS)
    even = -(-steps // groups)  # the last group is shorter
    return dividing if 2 * dividing >= even else even


def length_of_group(position: int, steps: int, at_once: int) -> int:
    """Return how many steps are done at once from a position in an epoch on.

    Args:
        position: of the first of them, 0 to below `steps`.
        steps: batches in an epoch.
        at_once: of all groups but the last one.
    """
    return min(at_once, steps - position)


class ShorterLastGroup(keras.callbacks.Callback):
    """Ends an epoch after its steps where they are no multiple of the steps at once.

    Keras would do as many steps as in every other group, which belong to the next epoch. So the last group has a
    training function of its own, on the same model and the same iterator. Keras tells callbacks the number of a full
    group's last step all the same.
    """

    def __init__(self, steps: int, at_once: int, first_epoch: int = 0, skipped: int = 0) -> None:
        """Start with the functions that Keras makes.

        Args:
            steps: batches in an epoch.
            at_once: of all groups but the last one; the model is compiled with it.
            first_epoch: in which the fit begins.
            skipped: steps of that epoch that were done before; a multiple of `at_once`.
        """
        super().__init__()
        self._steps, self._at_once, self._first_epoch, self._skipped = steps, at_once, first_epoch, skipped
        self._functions: dict[int, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note where the epoch begins."""
        self._start = self._skipped if epoch == self._first_epoch else 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Let the group have its steps and no more."""
        count = length_of_group(self._start + batch, self._steps, self._at_once)
        self.model.steps_per_execution = count  # which is read where a function is traced, in its first call
        if count not in self._functions:
            self.model.make_train_function(force=True)
            self._functions[count] = self.model.train_function
        self.model.train_function = self._functions[count]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Leave the model as it was compiled, as validation counts by it too."""
        self.model.steps_per_execution = self._at_once
