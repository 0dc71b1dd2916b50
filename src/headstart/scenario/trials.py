"""Short trials: trains strategies on a share of the images, and recommends the one that validation says will win."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.config import Config
from headstart.core.console import console
from headstart.data.index import ImageIndex
from headstart.data.splits import training_fraction
from headstart.features.activation_cache import ActivationCache
from headstart.scenario.probes import MultiDepthProbe

PROBE = "multi_depth"
# The strategies and the overrides that make them, from the cheapest to the dearest.
STRATEGIES: dict[str, tuple[str, ...]] = {
    PROBE: ("head=multi_depth", "freeze=all", "augmentation=none"),
    "last_two_blocks": ("head=linear", "freeze=last_two_blocks", "augmentation=none"),
    "last_two_blocks, light augmentation": ("head=linear", "freeze=last_two_blocks", "augmentation=light"),
    "first_half": ("head=linear", "freeze=first_half", "augmentation=none"),
    "none": ("head=linear", "freeze=none", "augmentation=none"),
}
TRIAL_IMAGES = 600  # training images of a trial: enough to tell a few points apart, and a trial takes seconds
DEARER = 2.5  # how many times as long as the one before the next strategy may take; measured: 67, 168 and 405 s
CLOSE = 0.005  # a lead in validation accuracy that does not pay for a dearer strategy
CLOSE_ERRORS = 1.0  # likewise, in standard errors: the one-standard-error rule of Breiman et al., CART, 1984


@dataclass(frozen=True)
class Trial:
    """What a strategy reached in a trial."""

    strategy: str  # one of STRATEGIES
    images: int  # training images of the trial
    accuracy: float  # on the validation images, 0 to 1
    seconds: float  # that the trial took
    whole_seconds: float  # that training on all images is expected to take, without start-up and evaluation


@dataclass(frozen=True)
class Recommendation:
    """The strategy to train with, and the trials that speak for it."""

    strategy: str
    trials: tuple[Trial, ...]
    not_tried: tuple[str, ...]  # strategies for which the time did not suffice

    @property
    def chosen(self) -> Trial:
        """The trial of the recommended strategy."""
        return next(trial for trial in self.trials if trial.strategy == self.strategy)


def try_strategies(
    configs: Mapping[str, Config],
    probe: MultiDepthProbe,
    image_size: int,
    activations: ActivationCache,
    seconds: float,
) -> Recommendation:
    """Try strategies on the same training images, from the cheapest on, while the time suffices.

    The multi-depth probe is always tried. Of the others, one whose trial is expected not to end in time is left out,
    and so are the dearer ones.

    Args:
        configs: the configuration of each strategy, in the order of STRATEGIES.
        probe: of the training and validation images.
        image_size: side in pixels.
        activations: the activation cache.
        seconds: for all trials together; 0 tries the probe alone.
    """
    started = time.perf_counter()
    training = probe.training
    images = training_fraction(training, min(1.0, TRIAL_IMAGES / len(training)), probe.config.dataset.split.seed)
    trials, validation = [_try_probe(probe, images)], len(probe.validation)
    names = [name for name in configs if name != PROBE]
    for position, name in enumerate(names):
        spent = time.perf_counter() - started
        expected = DEARER * trials[-1].seconds if position else 0.0
        if seconds <= 0 or spent + expected > seconds:
            return Recommendation(_winner(trials, validation), tuple(trials), tuple(names[position:]))
        with console.status(f"trial on {len(images):,} training images: {name}"):
            trials.append(_train(name, configs[name], probe, images, image_size, activations))
    return Recommendation(_winner(trials, validation), tuple(trials), ())


def _try_probe(probe: MultiDepthProbe, images: ImageIndex) -> Trial:
    started = time.perf_counter()
    accuracy = probe.accuracy(images)
    seconds = time.perf_counter() - started
    # Up to its landmarks, the time to solve the head grows with the cube of the images.
    return Trial(PROBE, len(images), accuracy, seconds, seconds * (len(probe.training) / len(images)) ** 2)


def _train(
    name: str, config: Config, probe: MultiDepthProbe, images: ImageIndex, image_size: int, activations: ActivationCache
) -> Trial:
    """Train a strategy's own schedule on some images, with the console quiet."""
    from headstart.model.network import build_network
    from headstart.training.hardware import seed_everything
    from headstart.training.inputs import ImageInputs
    from headstart.training.settings import TrainingSettings
    from headstart.training.stages import train_stages

    started = time.perf_counter()
    seed_everything(config.seed, config.deterministic, "float32")
    index = _together(images, probe.validation)
    network = build_network(config.backbone, config.head, len(images.class_names), image_size, config.seed)
    quiet, console.quiet = console.quiet, True
    try:
        result = train_stages(
            network,
            config.freeze.stages,
            ImageInputs(config, index, activations),
            TrainingSettings(config.head, config.seed, config.label_smoothing, config.patience),
        )
    finally:
        console.quiet = quiet
    epochs = sum(record.seconds for record in result.history)
    return Trial(
        name,
        len(images),
        result.best.validation_accuracy,
        time.perf_counter() - started,
        epochs * len(probe.training) / len(images),
    )


def _together(images: ImageIndex, validation: ImageIndex) -> ImageIndex:
    """Return an index of some training images and the validation images."""
    return dataclasses.replace(
        images,
        paths=(*images.paths, *validation.paths),
        labels=np.concatenate([images.labels, validation.labels]),
        splits=np.concatenate([images.splits, validation.splits]),
        digests=(*images.digests, *validation.digests),
    )


def _winner(trials: list[Trial], validation_images: int) -> str:
    """Return the cheapest strategy whose accuracy is close to the best."""
    best = max(trial.accuracy for trial in trials)
    close = max(CLOSE, CLOSE_ERRORS * (best * (1 - best) / validation_images) ** 0.5)
    return next(trial.strategy for trial in trials if trial.accuracy >= best - close)
