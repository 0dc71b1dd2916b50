"""The stage loop: open part of the network, train it, prove the rest unchanged, keep the best epoch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from headstart.config import HeadConfig, OptimizerConfig, StageConfig
from headstart.console import console, progress_bar
from headstart.errors import HeadstartError
from headstart.model.assemble import Network
from headstart.model.freeze import (
    check_unchanged,
    frozen_fingerprints,
    layers_to_train,
    moving_weights,
    open_for_training,
)
from headstart.training.announce import count_parameters, print_epoch, print_stage, print_waiting
from headstart.training.callbacks import BestEpoch, EpochRecord, EpochRecorder
from headstart.training.fitted import fit_linear, set_head
from headstart.training.inputs import Features, StageInput, StageInputs
from headstart.training.optimizers import block_rates, build_optimizer
from headstart.training.waiting import WaitingForInput


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
) -> TrainingResult:
    """Train a classifier through its stages.

    Each stage starts from the best epoch so far, and the classifier ends with the best epoch of all stages.

    Args:
        network: the classifier; its weights are changed.
        stages: with their whole optimizers.
        inputs: gives what a stage is fitted on.
        head: says whether scikit-learn fits the head in the stages that train nothing else.
        seed: of what scikit-learn fits.
        label_smoothing: share of the target that is spread over all classes, 0 to below 1.
        patience: a stage ends after this many epochs without a lower validation loss; None never does.
        record: called with the record of each epoch as it ends.
        after_stage: called with a stage at its end, when the classifier has the best weights so far.

    Raises:
        HeadstartError: for an unknown target of `train`, an image that cannot be read, a loss that is not finite, a
            frozen variable that moved.
    """
    for stage in stages:  # all of them before any compute
        layers_to_train(network, stage.train)
    best = BestEpoch()
    result = TrainingResult(best=None, history=[])  # type: ignore[arg-type]

    def note(epoch: EpochRecord) -> None:
        result.history.append(epoch)
        record(epoch)

    for number, stage in enumerate(stages):
        started = time.perf_counter()
        open_for_training(network, stage.train)
        given = inputs(network, stage, number)
        rates = block_rates([block.name for block in network.blocks], stage.optimizer.block_decay)
        result.trainable_parameters[stage.name] = count_parameters(network.classifier.trainable_variables)
        print_stage(network, stage, rates, given, head)
        before = frozen_fingerprints(network, stage.batch_norm)
        best.moving = moving_weights(network, stage.batch_norm)
        epoch = len(result.history) + 1
        if given.features is not None:
            note(_fit_head(network, stage, given, given.features, head.fit, seed, epoch, best))
        else:
            compile_for_training(network, stage, given, label_smoothing, given.steps_at_once)
            with progress_bar() as progress, reading_errors_as_they_were():
                recorder = EpochRecorder(stage.name, stage.epochs, epoch, network.classifier, best, note, progress)
                waiting = WaitingForInput(given.steps_at_once)
                given.model.fit(
                    waiting.timed(given.training),
                    epochs=stage.epochs,
                    steps_per_epoch=given.steps,
                    validation_data=given.validation,
                    # Else Keras starts to read it again at the end, in vain, and another time in the next epoch.
                    validation_steps=int(given.validation.cardinality()),
                    callbacks=[waiting, *_callbacks(stage.optimizer, patience, recorder)],
                    shuffle=False,  # the batches come in a new order every epoch already
                    verbose=0,
                )
            result.first_step = result.first_step or recorder.first_step
            if waiting.share is not None:
                result.waiting_for_input[stage.name] = waiting.share
                print_waiting(stage.name, waiting.share, waiting.seconds, given.sooner)
        check_unchanged(before, frozen_fingerprints(network, stage.batch_norm), stage.name)
        best.restore(network.classifier)
        result.seconds[stage.name] = time.perf_counter() - started
        if best.record is not None and best.record.stage != stage.name:
            console.print(
                f"  no epoch of {stage.name} beat epoch {best.record.epoch} ({best.record.stage}), "
                "whose weights are kept; a lower learning rate may help"
            )
        after_stage(stage)
    if best.record is None:
        raise HeadstartError("Expected at least one stage with one epoch. Received: none")
    result.best = best.record
    return result


def compile_for_training(
    network: Network, stage: StageConfig, given: StageInput, label_smoothing: float, steps_at_once: int = 1
) -> None:
    """Compile the model of a stage that has been opened, with its optimizer, loss and metric.

    Args:
        network: the classifier.
        stage: with its whole optimizer.
        given: the stage's input; its model is compiled.
        label_smoothing: share of the target that is spread over all classes.
        steps_at_once: without a return to Python, where callbacks are called; divides the steps of an epoch.
    """
    rates = block_rates([block.name for block in network.blocks], stage.optimizer.block_decay)
    optimizer = build_optimizer(stage.optimizer, given.steps, stage.epochs, _rate_of(network, rates))
    model = given.model
    # Without XLA, which is far slower than plain graphs on a CPU (depthwise convolutions).
    model.compile(
        optimizer,
        loss=_loss(model, label_smoothing),
        weighted_metrics=[_accuracy(model)],
        jit_compile=False,
        steps_per_execution=steps_at_once,
    )
    _create_variables(model)


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
        fitted = fit_linear(kind, features.activations, features.labels, features.class_weights, seed)
    set_head(network.head, fitted)
    model = given.model
    model.compile(loss=_loss(model, 0.0), weighted_metrics=[_accuracy(model)], jit_compile=False)
    training = dict(model.evaluate(given.training, steps=given.steps, verbose=0, return_dict=True))
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


def _create_variables(model: keras.Model) -> None:
    """Create what optimizer and metrics keep, which takes half the time from the first step.

    Else they are created in the first step, and TensorFlow traces a function again that created variables.
    """
    model.optimizer.build(model.trainable_variables)
    targets = keras.ops.zeros((1, model.output.shape[-1]))
    model.compute_loss(y=targets, y_pred=targets)
    model.compute_metrics(None, targets, targets)
    model.reset_metrics()


def _rate_of(network: Network, rates: dict[str, float]) -> Callable[[keras.Variable], float]:
    """Return the function from a variable to the factor on its learning rate."""
    factors = {
        id(weight): rates[block.name] for block in network.blocks for layer in block.layers for weight in layer.weights
    }
    return lambda variable: factors.get(id(variable), 1.0)


def _loss(model: keras.Model, label_smoothing: float) -> keras.losses.Loss:
    if model.output.shape[-1] == 1:
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def _accuracy(model: keras.Model) -> keras.metrics.Metric:
    if model.output.shape[-1] > 1:
        return keras.metrics.CategoricalAccuracy(name="accuracy")

    def of_the_likelier_class(targets: Any, outputs: Any) -> Any:  # a mixed target counts as its larger part
        return keras.ops.cast(keras.ops.equal(targets > 0.5, outputs > 0.5), "float32")

    return keras.metrics.MeanMetricWrapper(of_the_likelier_class, name="accuracy")


def _callbacks(
    optimizer: OptimizerConfig, patience: int | None, recorder: EpochRecorder
) -> list[keras.callbacks.Callback]:
    """Return what acts at the end of an epoch: first the averaged weights, which are the ones to record."""
    callbacks: list[keras.callbacks.Callback] = [recorder]
    if optimizer.ema:
        callbacks.insert(0, keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    if optimizer.schedule.name == "plateau":
        schedule = optimizer.schedule
        callbacks.append(keras.callbacks.ReduceLROnPlateau("val_loss", schedule.factor, schedule.patience))
    if patience is not None:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=patience))
    return callbacks


@contextmanager
def reading_errors_as_they_were() -> Iterator[None]:
    """Raise an error of reading the data as headstart raised it: TensorFlow passes it on as text with a traceback."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = re.search(r"^headstart\.[\w.]+Error: (.*)$", error.message, re.MULTILINE)
        if reason is None:
            raise
        raise HeadstartError(reason[1]) from error
