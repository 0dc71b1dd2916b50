"""Short trials: trains strategies on a share of the images, and recommends the one that validation says will win."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.config import Config, HeadOnly
from headstart.core.console import console, format_percent
from headstart.data.augmentation import Augmentation
from headstart.data.index import ImageIndex
from headstart.data.pipeline import class_weights
from headstart.data.splits import training_fraction
from headstart.features.activation_cache import ActivationCache
from headstart.results.scenario import NotTried, Trial
from headstart.scenario.probes import MultiDepthProbe
from headstart.scenario.trial_training import Deadline, OutOfTime, train_strategy
from headstart.training.linear_head import linear_fit
from headstart.training.ridge_head import LANDMARKS

TRIAL_IMAGES = 600  # training images of a trial: enough to tell a few points apart, and a trial takes seconds
START = 3.0  # a trial takes at least this many times as long as building its network: it traces a training step too
# How long training takes with a freeze schedule, relative to freeze=last_two_blocks. Measured: 67, 168 and 405 s.
COSTS = {"all": 0.5, "last_block": 0.8, "last_two_blocks": 1.0, "first_half": 2.5, "none": 6.0}
AUGMENTED = 2.0  # times as long with augmentation, because no activations are cached; a guess
CLOSE = 0.005  # a lead in validation accuracy that does not justify a more expensive strategy
CLOSE_ERRORS = 1.0  # likewise, in standard errors: the one-standard-error rule of Breiman et al., CART, 1984
BEHIND_ERRORS = 2.0  # standard errors behind the leader at which light augmentation cannot make up for it


@dataclass(frozen=True)
class Trials:
    """What strategies reached, and which one wins."""

    strategy: str  # the recommended one
    tried: tuple[Trial, ...]
    not_tried: tuple[NotTried, ...]
    images: int  # training images of each trial


def try_strategies(
    configs: Mapping[str, Config],
    probe: MultiDepthProbe,
    image_size: int,
    activations: ActivationCache,
    deadline: Deadline,
) -> Trials:
    """Try strategies on the same training images, in their order, as long as there is time.

    Those that are solved on the features of the probe are always tried. The others train with the seed of the split, so
    that runs which differ only in their seeds get the same recommendation.

    Args:
        configs: the configuration of each strategy; at least one.
        probe: of the training and validation images.
        image_size: side in pixels.
        activations: the activation cache.
        deadline: of all trials together.
    """
    seed = probe.config.dataset.split.seed
    images = training_fraction(probe.training, min(1.0, TRIAL_IMAGES / len(probe.training)), seed)
    solved: list[Trial] = []
    trained: list[Trial] = []
    not_tried: list[NotTried] = []
    unit = 0.0  # seconds of a trial for each unit of `_cost`, once there was one
    for name, config in configs.items():
        depth = solved_on_features(config)
        if depth is not None:
            solved.append(_try_probe(name, probe, images, last_depth=depth == "last"))
            continue
        expected = max(START * probe.build_seconds, unit * _cost(config))
        plain = _without_augmentation(name, configs)
        reason = _reason_to_skip(plain, [*solved, *trained], len(probe.validation), deadline, expected)
        if reason is None:
            try:
                with console.status(f"trial on {len(images):,} training images: {name}"):
                    seeded = dataclasses.replace(config, seed=seed)
                    trained.append(train_strategy(name, seeded, probe, images, image_size, activations, deadline))
                unit = trained[-1].seconds / _cost(config)
                continue
            except OutOfTime as stopped:
                reason = str(stopped)
        not_tried.append(NotTried(strategy=name, reason=reason))
    tried = [*solved, *sorted(trained, key=lambda trial: trial.whole_seconds)]
    # Without trials, nothing is solved on features, and there was no time for anything else.
    best = winner(tried, len(probe.validation)) if tried else next(iter(configs))
    return Trials(best, tuple(tried), tuple(not_tried), len(images))


def solved_on_features(config: Config) -> str | None:
    """Return which features of the probe solve a strategy in full, `every` depth or the `last`; None if it trains."""
    stages, head = config.freeze.stages, config.head
    frozen = all(isinstance(stage.train, HeadOnly) and linear_fit(head, stage) == "ridge" for stage in stages)
    depths = {"multi_depth": "every", "average": "last"}
    return depths.get(head.pooling) if frozen else None


def winner(trials: list[Trial], validation_images: int) -> str:
    """Return the cheapest strategy whose accuracy is close to the best.

    Args:
        trials: at least one, from the cheapest to the most expensive.
        validation_images: on which their accuracies were measured.
    """
    best = max(trial.accuracy for trial in trials)
    close = max(CLOSE, CLOSE_ERRORS * _standard_error(best, validation_images))
    return next(trial.strategy for trial in trials if trial.accuracy >= best - close)


def _cost(config: Config) -> float:
    """Return how long training takes, relative to freeze=last_two_blocks without augmentation."""
    augmented = Augmentation(config.augmentation).changes_images
    return COSTS.get(config.freeze.name, 1.0) * (AUGMENTED if augmented else 1.0)


def _standard_error(accuracy: float, images: int) -> float:
    return float((accuracy * (1 - accuracy) / images) ** 0.5)


def _without_augmentation(name: str, configs: Mapping[str, Config]) -> str | None:
    """Return the strategy that differs from another one only in its augmentation and is tried before it, if any."""
    config = configs[name]
    for other, one in configs.items():
        if other == name:
            return None
        if dataclasses.replace(one, augmentation=config.augmentation) == config:
            return other
    return None


def _reason_to_skip(
    plain: str | None, trials: list[Trial], validation_images: int, deadline: Deadline, expected: float
) -> str | None:
    """Return why a strategy is not worth a trial, or has no time for one; None if it is tried.

    `plain` is the same strategy without augmentation, see `_without_augmentation`.
    """
    if deadline.seconds <= 0:
        return "the time for trials is 0"
    if deadline.left <= 0:
        return f"the {deadline.seconds:g} s for trials were over"
    best = max((trial.accuracy for trial in trials), default=0.0)
    if 1 - best <= CLOSE:
        return f"it could not beat {format_percent(best)} by enough to justify its time"
    if plain is not None:
        found = next((trial for trial in trials if trial.strategy == plain), None)
        if found is None:
            return "nor was the same without augmentation"
        if found.accuracy < best - max(CLOSE, BEHIND_ERRORS * _standard_error(best, validation_images)):
            return f"{plain} is too far behind"
    if expected > deadline.left:
        return f"its trial would take about {expected:.0f} s, and {deadline.left:.0f} s are left"
    return None


def _times_to_solve(few: int, many: int) -> float:
    """Return by which factor solving a head takes longer for many images than for few.

    Up to the number of landmarks the time grows with the square of the images, beyond it in proportion.
    """
    solved = max(few, min(many, LANDMARKS))
    return (solved / few) ** 2 * many / solved


def _try_probe(name: str, probe: MultiDepthProbe, images: ImageIndex, last_depth: bool) -> Trial:
    started = time.perf_counter()
    correct = probe.correct(images, last_depth)
    seconds = time.perf_counter() - started
    weights = class_weights(images.labels, len(images.class_names), probe.config.class_weight)
    return Trial(
        strategy=name,
        accuracy=float(np.average(correct, weights=weights[probe.validation.labels])),  # as the epochs of the others
        seconds=seconds,
        whole_seconds=probe.build_seconds + seconds * _times_to_solve(len(images), len(probe.training)),
    )
