"""The stage loop: open part of the network, fit it, check that the rest is unchanged, restore the best epoch."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field, replace

import keras
import numpy as np

from headstart.config import StageConfig
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.core.log import log_event
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
from headstart.training.checkpoint_callback import CheckpointCallback
from headstart.training.compiling import compile_for_training
from headstart.training.display import (
    count_parameters,
    print_epoch,
    print_epoch_columns,
    print_linear_head,
    print_resume_point,
    print_stage,
)
from headstart.training.fit import fit_stage
from headstart.training.history import BestEpoch, EpochRecord
from headstart.training.inputs import Features, StageInput, StageInputs
from headstart.training.interpolation import Probe, probe_of, probe_stage
from headstart.training.linear_head import epochs_of
from headstart.training.linear_stage import fit_linear_stage
from headstart.training.settings import StageCallbacks, TrainingSettings
from headstart.training.snapshot import collect_arrays, restore_network, restore_optimizer

LOG = logging.getLogger(__name__)


@dataclass
class TrainingResult:
    """The outcome of all stages; the classifier has the weights of `best`."""

    best: EpochRecord
    history: list[EpochRecord]
    trainable_parameters: dict[str, int] = field(default_factory=dict)  # by stage
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    data_wait_fraction: dict[str, float] = field(default_factory=dict)  # by stage, see DataWaitTimer.fraction
    probe: Probe | None = None  # if it was to be kept
    first_step: float | None = None  # its end in seconds since the epoch; None if only scikit-learn fitted


def train_stages(
    network: Network,
    stages: list[StageConfig],
    inputs: StageInputs,
    settings: TrainingSettings,
    callbacks: StageCallbacks | None = None,
    checkpoints: Checkpoints | None = None,
    time_limit: float | None = None,
) -> TrainingResult:
    """Train a classifier through its stages.

    Each stage starts from the best epoch so far, and the classifier ends with the best epoch of all stages. Interrupted
    training resumes from its checkpoint and ends with the weights that it would have had without the interruption.

    Args:
        network: the classifier as its configuration builds it; its weights are changed.
        stages: with their complete optimizers.
        inputs: makes the input of each stage.
        settings: that all stages share.
        callbacks: called at the end of each epoch and stage.
        checkpoints: where the training state is saved, and read if there is one; None saves nothing.
        time_limit: when training stops as if it were interrupted, in seconds since the epoch.

    Raises:
        HeadstartError: for an unknown target of `train`, an image that cannot be read, a loss that is not finite, a
            frozen variable that changed, a checkpoint of another network.
        KeyboardInterrupt: when interrupted, after the current batch is finished and saved.
    """
    for stage in stages:  # check every target before any compute
        layers_to_train(network, stage.train)
    loop = _StageLoop(network, stages, inputs, settings, callbacks or StageCallbacks(), checkpoints, time_limit)
    loop.restore()
    for number in range(loop.state.stage, len(stages)):
        loop.train_stage(number, stages[number])
        if settings.keep_probe and number == probe_stage(stages):
            loop.keep_probe()
    return loop.finish()


class _StageLoop:
    """Trains one stage after the other, and keeps the training state."""

    def __init__(
        self,
        network: Network,
        stages: list[StageConfig],
        inputs: StageInputs,
        settings: TrainingSettings,
        callbacks: StageCallbacks,
        checkpoints: Checkpoints | None,
        time_limit: float | None,
    ) -> None:
        self.stages, self.epochs = stages, sum(epochs_of(stage, settings.head) for stage in stages)
        self.network, self.inputs, self.settings, self.callbacks = network, inputs, settings, callbacks
        self.checkpoints, self.time_limit = checkpoints, time_limit
        self.saved = checkpoints.load() if checkpoints else None
        self.state, self.best = self.saved or TrainingState(), BestEpoch()
        self.moved: set[int] = set()  # positions of the weights that may differ from the network as it was built
        self.first_step: float | None = None
        self.probe: Probe | None = None
        self.columns_printed = False

    def restore(self) -> None:
        """Put the weights and the best epoch of the checkpoint back, if there is one."""
        opened = self.stages[: self.state.stage + 1]
        for stage in opened:
            open_for_training(self.network, stage.train)
            self.moved.update(moving_weights(self.network, stage.batch_norm))
        if self.saved:
            self.probe = probe_of(self.saved, self.network.classifier)
            restore_network(self.network, self.saved, self.moved, self.best)
            print_resume_point(self.saved, [stage.name for stage in self.stages])
            check_frozen(self.saved, frozen_fingerprints(self.network, opened[-1].batch_norm))

    def train_stage(self, number: int, stage: StageConfig) -> None:
        """Open, fit and check one stage, and put the best weights so far into the classifier."""
        resumed = self.saved if self.saved and self.saved.stage == number else None
        frozen = self._open(number, stage, resumed)
        started = time.perf_counter() - self.state.stage_seconds
        stage_input = self._prepare_input(number, stage, resumed)
        if stage_input.features is not None:
            self._fit_linear_head(stage, stage_input, stage_input.features)
        else:
            self._fit(stage, stage_input, resumed, started)
        check_unchanged(frozen, frozen_fingerprints(self.network, stage.batch_norm), stage.name)
        self.best.restore(self.network.classifier)
        self.state.seconds[stage.name] = time.perf_counter() - started
        log_event(LOG, "stage ended", stage=stage.name, seconds=self.state.seconds[stage.name])
        if self.best.record is not None and self.best.record.stage != stage.name:
            console.print(
                f"  no epoch of {stage.name} beat epoch {self.best.record.epoch} ({self.best.record.stage}), "
                "whose weights are kept; a lower learning rate may help"
            )
        self.callbacks.on_stage_end(stage)

    def keep_probe(self) -> None:
        """Copy the weights that the head-only stages gave."""
        self.probe = Probe(self.network.classifier.get_weights(), tuple(sorted(self.moved)))

    def finish(self) -> TrainingResult:
        """Save that all stages are trained, and return the result.

        Raises:
            HeadstartError: when there was no epoch.
        """
        if self.best.record is None:
            raise HeadstartError("Expected at least one stage with one epoch. Received: none")
        state, stages = self.state, len(self.stages)
        if self.checkpoints and state.stage < stages:
            self._save_between_stages(self.checkpoints, state.at_stage(stages, state.frozen))
        return TrainingResult(
            self.best.record,
            state.history,
            state.trainable_parameters,
            state.seconds,
            state.data_wait_fraction,
            self.probe,
            self.first_step,
        )

    def _open(self, number: int, stage: StageConfig, resumed: TrainingState | None) -> dict[str, str]:
        """Make the stage's layers trainable, and return the fingerprints of all frozen weights."""
        open_for_training(self.network, stage.train)
        self.best.moving = moving_weights(self.network, stage.batch_norm)
        self.moved.update(self.best.moving)
        frozen = frozen_fingerprints(self.network, stage.batch_norm)
        if resumed:
            set_python_random_state(resumed.python_random)
        else:
            self.state = self.state.at_stage(number, digest_of(frozen))
            if self.checkpoints and number:
                self._save_between_stages(self.checkpoints, self.state)
        return frozen

    def _prepare_input(self, number: int, stage: StageConfig, resumed: TrainingState | None) -> StageInput:
        """Return the input of a stage, and print what the stage does."""
        stage_input = self.inputs(self.network, stage, number)
        if resumed and resumed.step < stage_input.steps and resumed.step % stage_input.steps_at_once:
            # The checkpoint comes from a machine with other step groups.
            stage_input = replace(stage_input, steps_at_once=1)
        trainable = self.network.classifier.trainable_variables
        self.state.trainable_parameters[stage.name] = count_parameters(trainable)
        print_stage(self.network, stage, stage_input, (number + 1, len(self.stages)), self.settings)
        if not self.columns_printed:
            print_epoch_columns()
            self.columns_printed = True
        log_event(LOG, "stage started", stage=stage.name, epochs=stage.epochs, steps=stage_input.steps)
        return stage_input

    def _fit(self, stage: StageConfig, stage_input: StageInput, resumed: TrainingState | None, started: float) -> None:
        """Let Keras fit the remaining epochs of a stage, which started at `started` by the performance counter."""
        label_smoothing = self.settings.label_smoothing
        compile_for_training(self.network, stage, stage_input, label_smoothing, stage_input.steps_at_once)
        if resumed:
            restore_optimizer(self.network, resumed, stage_input.model)
        with interrupt_at_batch_end(self.time_limit) as interruption:
            saving = CheckpointCallback(
                self.state, lambda: self._snapshot(started, stage_input.model), self.checkpoints, interruption
            )
            first_step = fit_stage(stage, stage_input, self.state, self.settings.patience, self._end_epoch, saving)
        self.first_step = self.first_step or first_step

    def _fit_linear_head(self, stage: StageConfig, stage_input: StageInput, features: Features) -> None:
        """Solve the head, which counts as one epoch."""
        epoch = len(self.state.history) + 1
        record, fitted = fit_linear_stage(self.network.head, stage, stage_input, features, self.settings, epoch)
        self._end_epoch(record)
        print_linear_head(fitted)

    def _end_epoch(self, record: EpochRecord) -> None:
        """Keep the weights of an epoch if it is the best so far, record it, and print its line."""
        is_best = self.best.offer(record, self.network.classifier)
        self.state.history.append(record)
        log_event(LOG, "epoch ended", **asdict(record))
        self.callbacks.on_epoch_end(record)
        print_epoch(record, self.epochs, is_best)

    def _snapshot(self, started: float, model: keras.Model) -> TrainingState:
        """Return the training state within a stage, to which `CheckpointCallback` adds the position."""
        seconds = time.perf_counter() - started
        arrays = self._arrays(model)
        return replace(self.state, best=self.best.record, stage_seconds=seconds, arrays=arrays)

    def _save_between_stages(self, checkpoints: Checkpoints, state: TrainingState) -> None:
        arrays = self._arrays()
        checkpoints.save(replace(state, best=self.best.record, arrays=arrays))

    def _arrays(self, model: keras.Model | None = None) -> dict[str, np.ndarray]:
        """Return the arrays of a checkpoint; `model` is the one that is fitted, None between two stages."""
        probe = self.probe.arrays() if self.probe else {}
        return {**collect_arrays(self.network, self.moved, self.best, model), **probe}
