"""The epochs of one stage: Keras fits them, and they are saved on the way and gone on with where they ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from headstart.training.checkpoint import Checkpoints, TrainingState
from headstart.training.inputs import StageInput
from headstart.training.snapshot import collect_metrics, restore_metrics
from headstart.training.step_groups import ShorterLastGroup

Snapshot = Callable[[], TrainingState]  # how far training is, with everything but the position and the metrics


class CheckpointCallback(keras.callbacks.Callback):
    """Saves the progress of a stage, and raises what interrupts it once it is saved.

    The last callback of a fit, so that the others have done what belongs to the moment that is saved.
    """

    def __init__(
        self,
        start: TrainingState,
        snapshot: Snapshot,
        checkpoints: Checkpoints | None,
        interrupted: Callable[[], KeyboardInterrupt | None],
    ) -> None:
        """Save from now on.

        Args:
            start: where the fit begins.
            snapshot: gives what else is to be saved.
            checkpoints: where and how often; None saves nothing.
            interrupted: asked at the end of each batch for what to raise.
        """
        super().__init__()
        self.start, self.snapshot = start, snapshot
        self.others: list[keras.callbacks.Callback] = []  # of Keras, whose values are saved too
        self.checkpoints, self.interrupted = checkpoints, interrupted
        self._values = start.callbacks  # of the others, at the end of the last epoch
        self._metrics: dict[str, Any] = {}  # of the training that an epoch is validated after

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the values of the other callbacks back, which have just forgotten them."""
        for callback, values in zip(self.others, self._values, strict=False):  # none at the start of a stage
            vars(callback).update(values)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Put back what the metrics had added up in an epoch that was interrupted."""
        self.epoch, self.steps = epoch, self.params["steps"]
        self.skipped = self.start.step if epoch == self.start.epoch else 0
        self.started = time.perf_counter() - (self.start.epoch_seconds if self.skipped else 0.0)
        if self.skipped:
            restore_metrics(self.model, self.start)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save within an epoch; end one whose first part was done before."""
        done = self.skipped + batch + 1
        if done < self.steps:
            self._save_if_wanted(self.epoch, done)
        elif self.skipped:
            self.model.stop_training = True  # of Keras' own count of the steps; see on_test_begin

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keep the metrics of training, which validation begins with forgetting."""
        if self.skipped:
            self.model.stop_training = False
        if self.checkpoints is not None:
            self._metrics = collect_metrics(self.model)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Do not wait for the end of a long validation."""
        interruption = self.interrupted()
        if interruption is not None:
            self._save(self.epoch, self.steps, self._metrics)
            raise interruption

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save between two epochs."""
        self._values = [_plain_values(callback) for callback in self.others]
        self._save_if_wanted(epoch + 1, 0)

    def _save_if_wanted(self, epoch: int, step: int) -> None:
        interruption = self.interrupted()
        if interruption is not None or (self.checkpoints is not None and self.checkpoints.is_due()):
            self._save(epoch, step, collect_metrics(self.model) if step else {})
        if interruption is not None:
            raise interruption

    def _save(self, epoch: int, step: int, metrics: dict[str, Any]) -> None:
        if self.checkpoints is None:
            return
        progress = self.snapshot()
        progress.epoch, progress.step = epoch, step
        progress.stopped = step == 0 and self.model.stop_training
        progress.epoch_seconds = time.perf_counter() - self.started if step else 0.0
        progress.callbacks = [_plain_values(callback) for callback in self.others]
        progress.arrays |= metrics
        self.checkpoints.save(progress)


def fit_epochs(
    given: StageInput,
    training: Callable[[int], tf.data.Dataset],
    epochs: int,
    start: TrainingState,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Fit the epochs of a stage that are not done.

    Args:
        given: the stage's input; its model is compiled, and has the weights of `start`.
        training: gives the stage's batches from a number on.
        epochs: of the whole stage.
        start: where to begin.
        callbacks: the last one is `CheckpointCallback`.
    """
    model, epoch = given.model, start.epoch
    # Else Keras starts to read it again at the end, in vain, and another time in the next epoch.
    validation_steps = int(given.validation.cardinality())
    if start.step == given.steps:  # trained, not validated
        listed = keras.callbacks.CallbackList(
            callbacks, add_history=False, add_progbar=False, model=model, epochs=epochs, steps=given.steps
        )
        model.stop_training = False
        listed.on_train_begin()
        listed.on_epoch_begin(epoch)
        logs = dict(model.get_metrics_result())
        found = model.evaluate(given.validation, steps=validation_steps, callbacks=listed, return_dict=True, verbose=0)
        listed.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in found.items()})
        listed.on_train_end()
        if model.stop_training:
            return
        epoch += 1
    if start.stopped or epoch == epochs:
        return
    batches = training(start.epoch * given.steps + start.step)
    if given.steps % given.steps_at_once:
        groups = ShorterLastGroup(given.steps, given.steps_at_once, start.epoch, start.step)
        callbacks = [groups, *callbacks]
        batches = batches.repeat()  # never: Keras counts full groups, and would find too few batches
    model.fit(
        batches,
        initial_epoch=epoch,
        epochs=epochs,
        steps_per_epoch=given.steps,
        validation_data=given.validation,
        validation_steps=validation_steps,
        callbacks=callbacks,
        shuffle=False,  # the batches come in a new order every epoch already
        verbose=0,
    )


def _plain_values(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback of Keras remembers from epoch to epoch."""
    return {
        name: value.item() if hasattr(value, "item") else value
        for name, value in vars(callback).items()
        if isinstance(value, bool | int | float | str) or hasattr(value, "item")
    }
