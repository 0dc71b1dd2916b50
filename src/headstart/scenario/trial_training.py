"""The trial of a strategy that trains: its own schedule on some of the images, stopped where the time ends."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field

import numpy as np

from headstart.config import Config
from headstart.core.console import quiet_console
from headstart.core.signals import TimeLimitReached
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import ActivationCache
from headstart.results.scenario import Trial
from headstart.scenario.probes import MultiDepthProbe
from headstart.training.history import EpochRecord


class OutOfTime(Exception):
    """A trial that was stopped, or would not end in time; its text says so."""


@dataclass(frozen=True)
class Deadline:
    """When measuring and trying have to end.

    Args:
        seconds: for everything together.
        started: when it began, by the performance counter.
    """

    seconds: float
    started: float = field(default_factory=time.perf_counter)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def left(self) -> float:
        """Seconds to the end; negative after it."""
        return self.seconds - self.spent


def train_strategy(
    name: str,
    config: Config,
    probe: MultiDepthProbe,
    images: ImageIndex,
    image_size: int,
    activations: ActivationCache,
    deadline: Deadline,
) -> Trial:
    """Train a strategy's own schedule on some images, with the console quiet.

    Args:
        name: of the strategy.
        config: its configuration.
        probe: has all training images, and the validation images that judge it.
        images: some of the training images.
        image_size: side in pixels.
        activations: the activation cache.
        deadline: of all trials.

    Raises:
        OutOfTime: when the deadline stops it, or an epoch shows that it will.
    """
    from headstart.model.network import build_network
    from headstart.training.hardware import seed_everything
    from headstart.training.inputs import ImageInputs
    from headstart.training.settings import StageCallbacks, TrainingSettings
    from headstart.training.stages import train_stages

    started = time.perf_counter()
    ends = time.time() + deadline.left
    seed_everything(config.seed, config.deterministic, "float32")
    network = build_network(config.backbone, config.head, len(images.class_names), image_size, config.seed)
    built = time.perf_counter()
    inputs = ImageInputs(config, _together(images, probe.validation), dataclasses.replace(activations, ends=ends))
    try:
        with quiet_console():
            result = train_stages(
                network,
                config.freeze.stages,
                inputs,
                TrainingSettings(config.head, config.seed, config.label_smoothing, config.patience),
                StageCallbacks(on_epoch_end=Projection(config, started, deadline)),
                time_limit=ends,
            )
    except TimeLimitReached:
        spent = time.perf_counter() - started
        raise OutOfTime(f"its trial was stopped after {spent:.0f} s, when the time for trials was over") from None
    seconds, epochs = time.perf_counter() - built, sum(record.seconds for record in result.history)
    rows = len(probe.training) + len(probe.validation)
    once = (seconds - epochs) * rows / (len(images) + len(probe.validation))  # the pass through the frozen part
    return Trial(
        strategy=name,
        accuracy=result.best.validation_accuracy,
        seconds=time.perf_counter() - started,
        whole_seconds=once + _scaled(result.history, rows / (len(images) + len(probe.validation))),
    )


class Projection:
    """Stops a trial as soon as an epoch shows that its stage will not end in time."""

    def __init__(self, config: Config, started: float, deadline: Deadline) -> None:
        """Start with a trial.

        Args:
            config: of the strategy.
            started: when the trial began, by the performance counter.
            deadline: of all trials.
        """
        self.epochs = {stage.name: stage.epochs for stage in config.freeze.stages}
        self.started, self.deadline = started, deadline
        self.done: dict[str, int] = {}

    def __call__(self, record: EpochRecord) -> None:
        """Raise OutOfTime if the remaining epochs take too long, supposing that each takes as long as this one.

        The first epoch of a stage does not count, because it begins with tracing.
        """
        self.done[record.stage] = self.done.get(record.stage, 0) + 1
        if self.done[record.stage] == 1:
            return
        left = (self.epochs[record.stage] - self.done[record.stage]) * record.seconds
        if left > self.deadline.left:
            total = time.perf_counter() - self.started + left
            raise OutOfTime(f"its trial would have taken about {total:.0f} s")


def _scaled(history: list[EpochRecord], times: float) -> float:
    """Return how long the epochs would have taken with `times` as many images; the time for tracing stays the same."""
    total = 0.0
    for stage in dict.fromkeys(record.stage for record in history):
        seconds = [record.seconds for record in history if record.stage == stage]
        typical = float(np.median(seconds[1:] or seconds))
        total += typical * len(seconds) * times + max(0.0, seconds[0] - typical)
    return total


def _together(images: ImageIndex, validation: ImageIndex) -> ImageIndex:
    """Return an index of some training images and the validation images."""
    return dataclasses.replace(
        images,
        paths=(*images.paths, *validation.paths),
        labels=np.concatenate([images.labels, validation.labels]),
        splits=np.concatenate([images.splits, validation.splits]),
        digests=(*images.digests, *validation.digests),
    )
