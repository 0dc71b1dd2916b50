"""What happens at the end of an epoch: it is recorded, shown, and kept when it is the best so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from rich.progress import Progress

from headstart.core.errors import HeadstartError
from headstart.training.display import print_epoch
from headstart.training.history import BestEpoch, EpochRecord


class EpochRecorder(keras.callbacks.Callback):
    """Turns what Keras logs into records on one epoch axis over all stages."""

    def __init__(
        self,
        stage: str,
        epochs: int,
        first_epoch: int,
        classifier: keras.Model,
        best: BestEpoch,
        record: Callable[[EpochRecord], None],
        progress: Progress,
        skipped: int = 0,
        seconds_before: float = 0.0,
    ) -> None:
        """Start recording a stage.

        Args:
            stage: its name.
            epochs: how many epochs it has.
            first_epoch: number of its first epoch, counted from 1 over all stages.
            classifier: the model whose weights are kept; it may not be the one that is fitted.
            best: the best epoch so far, over all stages.
            record: called with each epoch's record.
            progress: the bar to move.
            skipped: steps of the first epoch to come that were done before an interruption.
            seconds_before: that they took.
        """
        super().__init__()
        self.stage, self.epochs, self.first_epoch = stage, epochs, first_epoch
        self.classifier, self.best, self.record, self.progress = classifier, best, record, progress
        self.task = progress.add_task(stage, total=None)
        self.skipped, self.seconds_before = skipped, seconds_before
        self.first_step: float | None = None  # when it was done, seconds since the epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock and name the epoch on the bar."""
        self.started, self.epoch = time.perf_counter() - self.seconds_before, epoch
        steps = self.params["steps"]
        self.done, self.left = steps * epoch + self.skipped, steps - self.skipped
        self.skipped, self.seconds_before = 0, 0.0
        self.progress.update(
            self.task,
            total=steps * self.epochs,
            completed=self.done,
            description=f"{self.stage}: epoch {epoch + 1} of {self.epochs}",
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        self.first_step = self.first_step or time.time()
        within = min(batch + 1, self.left)  # Keras tells the last step of a full group, of a shorter one too
        self.progress.update(self.task, completed=self.done + within)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch, keep its weights if it is the best, and print its line."""
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
                f"{record.validation_loss} in validation at epoch {record.epoch} ({self.stage}); lower "
                f"optimizer.learning_rate or set optimizer.clip_norm=1"
            )
        best = self.best.offer(record, self.classifier)
        self.record(record)
        print_epoch(record, best)
