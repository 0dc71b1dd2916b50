"""The Keras callback that saves the training state within a stage, and stops interrupted training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras

from headstart.training.checkpoint import Checkpoints, TrainingState
from headstart.training.snapshot import collect_metrics, restore_metrics

Snapshot = Callable[[], TrainingState]  # the training state without the position and the metrics


class CheckpointCallback(keras.callbacks.Callback):
    """Saves the training state of a stage, and raises an interruption after it is saved.

    It must be the last callback of a fit, so that the state of the others belongs to the moment that is saved.
    """

    def __init__(
        self,
        start: TrainingState,
        snapshot: Snapshot,
        checkpoints: Checkpoints | None,
        interruption: Callable[[], KeyboardInterrupt | None],
    ) -> None:
        """Prepare to save.

        Args:
            start: the training state in which the fit begins.
            snapshot: returns everything else that has to be saved.
            checkpoints: where and how often to save; None saves nothing.
            interruption: called at the end of each batch, returns the exception to raise, if any.
        """
        super().__init__()
        self.start, self.snapshot = start, snapshot
        self.saved_callbacks: list[keras.callbacks.Callback] = []  # callbacks of Keras, whose values are saved too
        self.checkpoints, self.interruption = checkpoints, interruption
        self._values = start.callbacks  # of the saved callbacks, at the end of the last epoch
        self._metrics: dict[str, Any] = {}  # of the training part of an epoch that is being validated

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the values of the saved callbacks, which Keras has just reset."""
        for callback, values in zip(self.saved_callbacks, self._values, strict=False):  # no values at a stage's start
            vars(callback).update(values)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restore the sums of the metrics in an epoch that was interrupted."""
        self.epoch, self.steps = epoch, self.params["steps"]
        self.skipped = self.start.step if epoch == self.start.epoch else 0
        self.started = time.perf_counter() - (self.start.epoch_seconds if self.skipped else 0.0)
        if self.skipped:
            restore_metrics(self.model, self.start)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save within an epoch; end an epoch whose first part was trained before."""
        done = self.skipped + batch + 1
        if done < self.steps:
            self._save_if_due(self.epoch, done)
        elif self.skipped:
            self.model.stop_training = True  # ends Keras' own count of the steps; see on_test_begin

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keep the metrics of training, which validation resets first."""
        if self.skipped:
            self.model.stop_training = False
        if self.checkpoints is not None:
            self._metrics = collect_metrics(self.model)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop without waiting for the end of a long validation."""
        interruption = self.interruption()
        if interruption is not None:
            self._save(self.epoch, self.steps, self._metrics)
            raise interruption

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save between two epochs."""
        self._values = [_plain_values(callback) for callback in self.saved_callbacks]
        self._save_if_due(epoch + 1, 0)

    def _save_if_due(self, epoch: int, step: int) -> None:
        interruption = self.interruption()
        if interruption is not None or (self.checkpoints is not None and self.checkpoints.is_due()):
            self._save(epoch, step, collect_metrics(self.model) if step else {})
        if interruption is not None:
            raise interruption

    def _save(self, epoch: int, step: int, metrics: dict[str, Any]) -> None:
        if self.checkpoints is None:
            return
        state = self.snapshot()
        state.epoch, state.step = epoch, step
        state.stopped = step == 0 and self.model.stop_training
        state.epoch_seconds = time.perf_counter() - self.started if step else 0.0
        state.callbacks = [_plain_values(callback) for callback in self.saved_callbacks]
        state.arrays |= metrics
        self.checkpoints.save(state)


def _plain_values(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback of Keras remembers from epoch to epoch."""
    return {
        name: value.item() if hasattr(value, "item") else value
        for name, value in vars(callback).items()
        if isinstance(value, bool | int | float | str) or hasattr(value, "item")
    }
