"""The Keras callback that records the figures of each epoch and moves the progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from rich.progress import Progress

from headstart.config import StageConfig
from headstart.core.errors import HeadstartError
from headstart.training.checkpoint import TrainingState
from headstart.training.history import EpochRecord


class EpochRecorder(keras.callbacks.Callback):
    """Turns the logs of Keras into records whose epochs are counted over all stages."""

    def __init__(
        self, stage: StageConfig, state: TrainingState, on_epoch_end: Callable[[EpochRecord], None], bar: Progress
    ) -> None:
        """Start recording a stage.

        Args:
            stage: its name and number of epochs.
            state: the training state in which the fit begins.
            on_epoch_end: called with the record of each epoch.
            bar: the progress bar to move.
        """
        super().__init__()
        self.stage, self.epochs = stage.name, stage.epochs
        self.record_epoch, self.bar = on_epoch_end, bar
        self.first_epoch = len(state.history) + 1 - state.epoch  # number of the stage's first epoch over all stages
        # Of the next epoch, if it was interrupted: the steps that are done, and the seconds that they took.
        self.skipped, self.seconds_before = state.step, state.epoch_seconds
        self.task = bar.add_task(stage.name, total=None)
        self.first_step: float | None = None  # when it ended, in seconds since the epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock and show the epoch on the bar."""
        self.started, self.epoch = time.perf_counter() - self.seconds_before, epoch
        steps = self.params["steps"]
        self.done, self.left = steps * epoch + self.skipped, steps - self.skipped
        self.skipped, self.seconds_before = 0, 0.0
        self.bar.update(
            self.task,
            total=steps * self.epochs,
            completed=self.done,
            description=f"{self.stage}: epoch {epoch + 1} of {self.epochs}",
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        self.first_step = self.first_step or time.time()
        within = min(batch + 1, self.left)  # Keras passes the last step of a full group, for a shorter one too
        self.bar.update(self.task, completed=self.done + within)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch.

        Raises:
            HeadstartError: when a loss is not finite.
        """
        logs = logs or {}
        record = EpochRecord(
            epoch=self.first_epoch + epoch,
            stage=self.stage,
            train_loss=float(logs["loss"]),
            train_accuracy=float(logs["accuracy"]),
            validation_loss=float(logs["val_loss"]),
            validation_accuracy=float(logs["val_accuracy"]),
            learning_rate=float(tf.convert_to_tensor(self.model.optimizer.learning_rate)),
            seconds=time.perf_counter() - self.started,
        )
        if not (math.isfinite(record.train_loss) and math.isfinite(record.validation_loss)):
            raise HeadstartError(
                f"Expected the loss to stay finite. Received: {record.train_loss} in training and "
                f"{record.validation_loss} in validation at epoch {record.epoch} ({self.stage})",
                "lower optimizer.learning_rate or set optimizer.clip_norm=1",
            )
        self.record_epoch(record)
