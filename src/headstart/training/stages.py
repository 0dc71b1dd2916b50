"""The stage loop: open part of the network, train it, prove the rest unchanged, keep the best epoch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import keras
import tensorflow as tf

from headstart.config import HeadConfig, StageConfig
from headstart.core.console import console, progress_bar
from headstart.core.errors import HeadstartError
from headstart.core.signals import interrupt_at_batch_end
from headstart.model.freeze import (
    check_unchanged,
    frozen_fingerprints,
    layers_to_train,
    moving_weights,
    open_for_training,
)
from headstart.model.network import Network
from headstart.training.checkpoint import (
    Checkpoints,
    TrainingState,
    check_frozen,
    digest_of,
    set_python_random_state,
)
from headstart.training.compiling import accuracy_of, compile_for_training, loss_of
from headstart.training.data_wait import DataWaitTimer
from headstart.training.display import count_parameters, print_data_wait, print_epoch, print_resume_point, print_stage
from headstart.training.epoch_recorder import EpochRecorder
from headstart.training.fit import CheckpointCallback, fit_epochs
from headstart.training.history import BestEpoch, EpochRecord
from headstart.training.inputs import Features, StageInput, StageInputs
from headstart.training.linear_head import fit_linear_head, set_head
from headstart.training.optimizers import block_rates
from headstart.training.snapshot import collect_arrays, restore_network, restore_optimizer


@dataclass
class TrainingResult:
    """What came of all stages; the classifier carries the weights of `best`."""

    best: EpochRecord
    history: list[EpochRecord]
    trainable_parameters: dict[str, int] = field(default_factory=dict)  # by stage
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    waiting_for_input: dict[str, float] = field(default_factory=dict)  # by stage, see WaitingForInput.share
    first_step: float | None = None  # when it was done, seconds since the epoch; None where only scikit-learn fits


def train_stages(
    network: Network,
    stages: list[StageConfig],
    inputs: StageInputs,
    head: HeadConfig,
    seed: int = 0,
    label_smoothing: float = 0.0,
    patience: int | None = None,
    record: Callable[[EpochRecord], None] = lambda record: None,
    after_stage: Callable[[StageConfig], None] = lambda stage: None,
    checkpoints: Checkpoints | None = None,
    time_limit: float | None = None,
) -> TrainingResult:
    """Train a classifier through its stages.

    Each stage starts from the best epoch so far, and the classifier ends with the best epoch of all stages. Training
    that was interrupted goes on where its checkpoint says, and ends with the same weights as if nothing had happened.

    Args:
        network: the classifier as its configuration builds it; its weights are changed.
        stages: with their whole optimizers.
        inputs: gives what a stage is fitted on.
        head: says whether scikit-learn fits the head in the stages that train nothing else.
        seed: of what scikit-learn fits.
        label_smoothing: share of the target that is spread over all classes, 0 to below 1.
        patience: a stage ends after this many epochs without a lower validation loss; None never does.
        record: called with the record of each epoch as it ends.
        after_stage: called with a stage at its end, when the classifier has the best weights so far.
        checkpoints: where progress is saved, and read where there is some; None saves nothing.
        time_limit: when training stops as if it were interrupted, seconds since the epoch.

    Raises:
        HeadstartError: for an unknown target of `train`, an image that cannot be read, a loss that is not finite, a
            frozen variable that moved, a checkpoint of another network.
        KeyboardInterrupt: when interrupted, once a batch is finished and saved.
    """
    for stage in stages:  # all of them before any compute
        layers_to_train(network, stage.train)
    saved = checkpoints.load() if checkpoints else None
    progress, best = saved or TrainingState(), BestEpoch()
    first_step: float | None = None
    moved: set[int] = set()  # positions of the weights that are not as they were built
    for stage in stages[: progress.stage + 1]:
        open_for_training(network, stage.train)
        moved.update(moving_weights(network, stage.batch_norm))
    if saved:
        restore_network(network, saved, moved, best)
        print_resume_point(saved, [stage.name for stage in stages])
        check_frozen(saved, frozen_fingerprints(network, stage.batch_norm))  # of the last stage that was opened

    def note(epoch: EpochRecord) -> None:
        progress.history.append(epoch)
        record(epoch)

    for number, stage in list(enumerate(stages))[progress.stage :]:
        resumed = saved if saved and saved.stage == number else None
        open_for_training(network, stage.train)
        best.moving = moving_weights(network, stage.batch_norm)
        moved.update(best.moving)
        before = frozen_fingerprints(network, stage.batch_norm)
        if resumed:
            set_python_random_state(resumed.python_random)
        else:
            progress = progress.at_stage(number, digest_of(before))
            if checkpoints and number:
                checkpoints.save(replace(progress, best=best.record, arrays=collect_arrays(network, moved, best)))
        began = time.perf_counter() - progress.stage_seconds
        given = inputs(network, stage, number)
        if resumed and resumed.step < given.steps and resumed.step % given.steps_at_once:
            given = replace(given, steps_at_once=1)  # it was saved on a machine that does others at once
        rates = block_rates([block.name for block in network.blocks], stage.optimizer.layer_decay)
        progress.trainable_parameters[stage.name] = count_parameters(network.classifier.trainable_variables)
        print_stage(network, stage, rates, given, head)
        if given.features is not None:
            epoch = len(progress.history) + 1
            note(_fit_head(network, stage, given, given.features, head.fit, seed, epoch, best))
        else:
            compile_for_training(network, stage, given, label_smoothing, given.steps_at_once)
            if resumed:
                restore_optimizer(network, resumed, given.model)
            now = partial(_progress_now, progress, began, network, moved, best, given.model)
            with interrupt_at_batch_end(time_limit) as interrupted:
                saving = CheckpointCallback(progress, now, checkpoints, interrupted)
                done = _fit(network, stage, given, patience, progress, best, note, saving)
            first_step = first_step or done
        check_unchanged(before, frozen_fingerprints(network, stage.batch_norm), stage.name)
        best.restore(network.classifier)
        progress.seconds[stage.name] = time.perf_counter() - began
        if best.record is not None and best.record.stage != stage.name:
            console.print(
                f"  no epoch of {stage.name} beat epoch {best.record.epoch} ({best.record.stage}), "
                "whose weights are kept; a lower learning rate may help"
            )
        after_stage(stage)
    if best.record is None:
        raise HeadstartError("Expected at least one stage with one epoch. Received: none")
    if checkpoints and progress.stage < len(stages):
        over = progress.at_stage(len(stages), progress.frozen)
        checkpoints.save(replace(over, best=best.record, arrays=collect_arrays(network, moved, best)))
    return TrainingResult(
        best.record,
        progress.history,
        progress.trainable_parameters,
        progress.seconds,
        progress.waiting_for_input,
        first_step,
    )


def _fit(
    network: Network,
    stage: StageConfig,
    given: StageInput,
    patience: int | None,
    progress: TrainingState,
    best: BestEpoch,
    note: Callable[[EpochRecord], None],
    saving: CheckpointCallback,
) -> float | None:
    """Let Keras fit what is left of a stage, and return when the first step was done, seconds since the epoch."""
    waiting = DataWaitTimer(given.steps_at_once, given.steps)

    def training(first_batch: int) -> tf.data.Dataset:
        return waiting.timed(given.training(first_batch), first_batch)

    with progress_bar() as bar, original_reading_errors():
        recorder = EpochRecorder(
            stage.name,
            stage.epochs,
            len(progress.history) + 1 - progress.epoch,
            network.classifier,
            best,
            note,
            bar,
            progress.step,
            progress.epoch_seconds,
        )
        callbacks: list[keras.callbacks.Callback] = [waiting, recorder]
        if stage.optimizer.ema:  # first, as the averaged weights are the ones to record
            callbacks.insert(0, keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
        if stage.optimizer.schedule.name == "plateau":
            schedule = stage.optimizer.schedule
            callbacks.append(keras.callbacks.ReduceLROnPlateau("val_loss", schedule.factor, schedule.patience))
        if patience is not None:
            callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=patience))
        saving.others = [callback for callback in callbacks if callback not in (waiting, recorder)]
        fit_epochs(given, training, stage.epochs, progress, [*callbacks, saving])
    if waiting.share is not None:
        progress.waiting_for_input[stage.name] = waiting.share
        print_data_wait(stage.name, waiting.share, waiting.seconds, given.sooner)
    return recorder.first_step


def _progress_now(
    progress: TrainingState, began: float, network: Network, moved: set[int], best: BestEpoch, model: keras.Model
) -> TrainingState:
    """Return how far training is, for `CheckpointCallback` to add the position."""
    seconds = time.perf_counter() - began
    arrays = collect_arrays(network, moved, best, model)
    return replace(progress, best=best.record, stage_seconds=seconds, arrays=arrays)


def _fit_head(
    network: Network,
    stage: StageConfig,
    given: StageInput,
    features: Features,
    kind: str,
    seed: int,
    epoch: int,
    best: BestEpoch,
) -> EpochRecord:
    """Let scikit-learn fit the head, and return that as a single epoch."""
    started = time.perf_counter()
    with console.status(f"{stage.name}: scikit-learn fits the head, C by cross-validation"):
        fitted = fit_linear_head(kind, features.activations, features.labels, features.class_weights, seed)
    set_head(network.head, fitted)
    model = given.model
    model.compile(loss=loss_of(model, 0.0), weighted_metrics=[accuracy_of(model)], jit_compile=False)
    training = dict(model.evaluate(given.training(0), steps=given.steps, verbose=0, return_dict=True))
    validation = dict(model.evaluate(given.validation, verbose=0, return_dict=True))
    record = EpochRecord(
        epoch=epoch,
        stage=stage.name,
        train_loss=float(training["loss"]),
        train_accuracy=float(training["accuracy"]),
        validation_loss=float(validation["loss"]),
        validation_accuracy=float(validation["accuracy"]),
        learning_rate=0.0,
        seconds=time.perf_counter() - started,
    )
    print_epoch(record, best.offer(record, network.classifier))
    console.print(
        f"  {kind}: C = {fitted.regularisation:g}, the best of cross-validation (accuracy {fitted.accuracy:.4f})"
        + ("" if fitted.converged else "; the solver stopped before it had converged"),
        soft_wrap=True,
    )
    return record


@contextmanager
def original_reading_errors() -> Iterator[None]:
    """Raise an error of reading the data as headstart raised it: TensorFlow passes it on as text with a traceback."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = re.search(r"^headstart\.[\w.]+Error: (.*)$", error.message, re.MULTILINE)
        if reason is None:
            raise
        raise HeadstartError(reason[1]) from error
