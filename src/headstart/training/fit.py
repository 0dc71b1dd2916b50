"""The epochs of one stage: Keras fits them, and resumes them where they were interrupted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from headstart.config import OptimizerConfig, StageConfig
from headstart.core.console import progress_bar
from headstart.core.errors import HeadstartError
from headstart.training.checkpoint import TrainingState
from headstart.training.checkpoint_callback import CheckpointCallback
from headstart.training.data_wait import DataWaitTimer
from headstart.training.display import print_data_wait
from headstart.training.epoch_recorder import EpochRecorder
from headstart.training.history import EpochRecord
from headstart.training.inputs import StageInput
from headstart.training.step_groups import ShorterLastGroup


def fit_stage(
    stage: StageConfig,
    stage_input: StageInput,
    state: TrainingState,
    patience: int | None,
    on_epoch_end: Callable[[EpochRecord], None],
    checkpoint_callback: CheckpointCallback,
) -> float | None:
    """Fit the remaining epochs of a stage with Keras.

    Args:
        stage: with its complete optimizer.
        stage_input: its model is compiled, and has the weights of `state`.
        state: the training state to start from; receives the share of time that the stage waited for data.
        patience: the stage ends after so many epochs without a lower validation loss; None runs all of them.
        on_epoch_end: called with the record of each epoch.
        checkpoint_callback: saves the training state.

    Returns:
        When the first step ended, in seconds since the epoch; None if no step was left.
    """
    wait = DataWaitTimer(stage_input.steps_at_once, stage_input.steps)

    def training(first_batch: int) -> tf.data.Dataset:
        return wait.timed(stage_input.training(first_batch), first_batch)

    with progress_bar() as bar, original_reading_errors():
        recorder = EpochRecorder(stage, state, on_epoch_end, bar)
        averaging, others = _keras_callbacks(stage.optimizer, patience)
        checkpoint_callback.saved_callbacks = [*averaging, *others]
        # Averaging comes first, because the averaged weights are recorded, and saving last.
        callbacks = [*averaging, wait, recorder, *others, checkpoint_callback]
        fit_epochs(stage_input, training, stage.epochs, state, callbacks)
    if wait.fraction is not None:
        state.data_wait_fraction[stage.name] = wait.fraction
        print_data_wait(stage.name, wait.fraction, wait.seconds, stage_input.faster_input_tip)
    return recorder.first_step


def _keras_callbacks(
    optimizer: OptimizerConfig, patience: int | None
) -> tuple[list[keras.callbacks.Callback], list[keras.callbacks.Callback]]:
    """Return the callbacks of Keras for a stage: the one that swaps in averaged weights, and the others."""
    averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if optimizer.ema else []
    others: list[keras.callbacks.Callback] = []
    if optimizer.schedule.name == "plateau":
        schedule = optimizer.schedule
        others.append(keras.callbacks.ReduceLROnPlateau("val_loss", schedule.factor, schedule.patience))
    if patience is not None:
        others.append(keras.callbacks.EarlyStopping("val_loss", patience=patience))
    return averaging, others


def fit_epochs(
    stage_input: StageInput,
    training: Callable[[int], tf.data.Dataset],
    epochs: int,
    start: TrainingState,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Fit the epochs of a stage that are not done.

    Args:
        stage_input: its model is compiled, and has the weights of `start`.
        training: returns the stage's batches from a given number on.
        epochs: of the whole stage.
        start: the training state to start from.
        callbacks: the last one is `CheckpointCallback`.
    """
    model, epoch, steps = stage_input.model, start.epoch, stage_input.steps
    # Without it Keras would start to read the validation data again at its end, and once more in the next epoch.
    validation_steps = int(stage_input.validation.cardinality())
    if start.step == steps:  # the epoch is trained but not validated
        _validate_epoch(stage_input, epoch, epochs, validation_steps, callbacks)
        if model.stop_training:
            return
        epoch += 1
    if start.stopped or epoch == epochs:
        return
    batches = training(start.epoch * steps + start.step)
    if steps % stage_input.steps_at_once:
        groups = ShorterLastGroup(steps, stage_input.steps_at_once, start.epoch, start.step)
        callbacks = [groups, *callbacks]
        batches = batches.repeat()  # never happens: Keras counts full groups, and would find too few batches
    model.fit(
        batches,
        initial_epoch=epoch,
        epochs=epochs,
        steps_per_epoch=steps,
        validation_data=stage_input.validation,
        validation_steps=validation_steps,
        callbacks=callbacks,
        shuffle=False,  # the batches come in a new order every epoch already
        verbose=0,
    )


def _validate_epoch(
    stage_input: StageInput,
    epoch: int,
    epochs: int,
    validation_steps: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Validate an epoch whose training was done before the interruption, and call the callbacks as Keras would."""
    model = stage_input.model
    listed = keras.callbacks.CallbackList(
        callbacks, add_history=False, add_progbar=False, model=model, epochs=epochs, steps=stage_input.steps
    )
    model.stop_training = False
    listed.on_train_begin()
    listed.on_epoch_begin(epoch)
    logs = dict(model.get_metrics_result())
    found = model.evaluate(
        stage_input.validation, steps=validation_steps, callbacks=listed, return_dict=True, verbose=0
    )
    listed.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in found.items()})
    listed.on_train_end()


@contextmanager
def original_reading_errors() -> Iterator[None]:
    """Raise a reading error as headstart raised it: TensorFlow turns it into text with a traceback."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = re.search(r"^headstart\.[\w.]+Error: (.*)$", error.message, re.MULTILINE)
        if reason is None:
            raise
        raise HeadstartError(reason[1]) from error
