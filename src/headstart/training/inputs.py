"""The input of each stage: pixels for the whole network, or activations of its frozen part, computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from headstart.cache.segments import NotCachedError
from headstart.cache.table import Rows
from headstart.config import Config, StageConfig
from headstart.data.augmentation import Augmentation
from headstart.data.pipeline import BatchPlan, class_weights, evaluation_dataset, training_dataset
from headstart.features.activation_cache import ActivationCache, Views
from headstart.features.boundary import Boundary, frozen_boundary, why_no_boundary
from headstart.model.freeze import trains_everything
from headstart.model.multi_depth import reads_every_depth, split_points_of
from headstart.model.network import Network
from headstart.training.linear_head import linear_fit
from headstart.training.step_groups import steps_at_once

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.data.pixel_cache import Batches
    from headstart.data.rows import InMemory


EVALUATION_BATCH_BYTES = 1 << 25  # of activations
LARGEST_EVALUATION_BATCH = 1024  # images
NOT_CACHED = "the frozen part is computed in every epoch"
NOTHING_CACHED = "nothing is computed once"


@dataclass
class Features:
    """The features of the training split, for a head that is solved."""

    rows: Batches  # (n, features)
    depths: tuple[slice, ...]  # columns of each depth that the head reads
    labels: np.ndarray  # int (n,)
    class_weights: np.ndarray  # (classes,)


@dataclass
class StageInput:
    """The data and the model that a stage is fitted with."""

    model: keras.Model  # shares its variables with the classifier
    # Returns the batches of the stage from a given number on: inputs, targets and weights; they may be endless.
    training: Callable[[int], tf.data.Dataset]
    validation: tf.data.Dataset  # inputs and targets, and weights if classes are weighted
    steps: int  # batches in an epoch
    steps_at_once: int = 1  # between two calls of the callbacks; the last ones of an epoch may be fewer
    faster_input_tip: str = "use a larger batch_size, which needs fewer batches"
    caching_note: str = "every image runs through the whole network in every epoch"  # printed
    class_weight_note: str = ""  # printed if the figures of the epochs are weighted
    features: Features | None = None  # set if the head is solved


StageInputs = Callable[[Network, StageConfig, int], StageInput]


@dataclass(frozen=True)
class _FrozenPart:
    """The part of the network that a stage leaves frozen, and the views of each training image that go through it."""

    boundary: Boundary
    views: Views | None  # None takes each image as it is


@dataclass(frozen=True)
class _Sources:
    """The rows of both splits."""

    training: Batches
    validation: Batches
    frozen: _FrozenPart | None  # if the rows are its activations; None if they are pixels
    features: Features | None
    caching_note: str


@dataclass
class ImageInputs:
    """Makes the input of each stage of a run; call it with the network, the stage and the stage's number."""

    config: Config
    index: ImageIndex
    activations: ActivationCache

    def __call__(self, network: Network, stage: StageConfig, number: int) -> StageInput:
        """Return the input of a stage, after running its frozen part once if that is possible."""
        config, one_sigmoid = self.config, self.config.head.output == "sigmoid"
        training, validation = self.index.split("train"), self.index.split("validation")
        weights = class_weights(training.labels, len(self.index.class_names), config.class_weight)
        sources = self._sources(network, stage, weights)
        frozen = sources.frozen
        steps = config.steps_per_epoch or -(-len(training) // config.batch_size)
        views = frozen.views.count if frozen and frozen.views else 1
        plan = BatchPlan(config.batch_size, config.seed, number, views, steps * stage.epochs)
        augmentation = None if frozen else Augmentation(config.augmentation)
        return StageInput(
            model=frozen.boundary.suffix if frozen else network.training_model(stage.batch_norm),
            training=partial(training_dataset, training, sources.training, plan, weights, one_sigmoid, augmentation),
            # Weighted like training: else the best epoch could be one that gives up the rare classes.
            validation=evaluation_dataset(
                validation,
                sources.validation,
                _evaluation_batch(sources.validation, config.batch_size) if frozen else config.batch_size,
                one_sigmoid,
                None if config.class_weight == "none" else weights,
            ),
            steps=steps,
            steps_at_once=_steps_at_once(sources.training, steps),
            faster_input_tip=_faster_input_tip(config, cached=frozen is not None),
            caching_note=sources.caching_note,
            class_weight_note=_class_weight_note(config.class_weight, self.index.class_names, weights),
            features=sources.features,
        )

    def _sources(self, network: Network, stage: StageConfig, weights: np.ndarray) -> _Sources:
        """Return the activations of both splits, or their pixels with the reason why not."""
        frozen, reason = self._choose_frozen_part(network, stage)
        if frozen is not None:
            try:
                return self._activation_sources(network, frozen, stage, weights)
            except NotCachedError as error:
                reason = f"{error}: {NOT_CACHED}"
        pixels, index = self.activations.pixels, self.index
        training = pixels.of(index.split("train"), "train")
        return _Sources(training, pixels.of(index.split("validation"), "validation"), None, None, reason)

    def _activation_sources(
        self, network: Network, frozen: _FrozenPart, stage: StageConfig, weights: np.ndarray
    ) -> _Sources:
        """Run both splits through the frozen part, except what is cached.

        Raises:
            NotCachedError: when the cache has no room after all.
        """
        cache, views, split = self.activations, frozen.views, self.index.split("train")
        computed, reused = cache.computed, cache.reused
        fitted = linear_fit(self.config.head, stage) is not None
        training = self._run_frozen_part(frozen, split, "train", fitted)
        unchanged = _FrozenPart(frozen.boundary, None)
        validation = self._run_frozen_part(unchanged, self.index.split("validation"), "validation", fitted)
        features = None
        if fitted:
            features = Features(training, _depths(network, training), split.labels, weights)
        what = f"images, {views.count} views of each training image among them," if views else "images"
        fresh, stored = cache.computed - computed, cache.reused - reused
        parts = [f"{fresh:,} {what} computed once"] if fresh or not stored else []
        parts += [f"{stored:,} {'' if parts else what + ' '}from the cache"] if stored else []
        note = f"frozen up to {frozen.boundary.split_point}: {', '.join(parts)}"
        return _Sources(training, validation, frozen, features, note)

    def _choose_frozen_part(self, network: Network, stage: StageConfig) -> tuple[_FrozenPart | None, str]:
        """Return the part of the network to run once; or None, and the reason to run the whole in every epoch."""
        config, augmentation = self.config, Augmentation(self.config.augmentation)
        boundary = frozen_boundary(network, stage.train)
        if linear_fit(config.head, stage) and boundary is not None:
            return _FrozenPart(boundary, None), ""
        if trains_everything(network, stage.train):
            return None, f"everything trains: {NOTHING_CACHED}"
        if not config.cache.activations:
            return None, f"cache={config.cache.name}: {NOT_CACHED}"
        if boundary is None:
            return None, f"{why_no_boundary(network, stage.train)}: {NOTHING_CACHED}"
        if stage.batch_norm == "train":
            return None, f"batch_norm: train: {NOTHING_CACHED}"
        if augmentation.mixes:
            return None, f"augmentation {augmentation.config.name} mixes images in every epoch: {NOTHING_CACHED}"
        views = None
        if augmentation.changes_images:
            if augmentation.config.views == "live":
                name = augmentation.config.name
                return None, f"augmentation {name} changes images in every epoch: {NOTHING_CACHED}"
            views = Views(augmentation, augmentation.config.views)
        parts = [self.index.split("train"), self.index.split("validation")]
        objection = self.activations.objection(boundary, parts, views)
        return (None, objection) if objection else (_FrozenPart(boundary, views), "")

    def _run_frozen_part(self, frozen: _FrozenPart, part: ImageIndex, name: str, fitted: bool) -> Rows | InMemory:
        """Return the activations of a split, computed once and cached on disk if they fit.

        Raises:
            NotCachedError: when they do not fit after all, unless the head is solved, which needs activations.
        """
        boundary, views = frozen.boundary, frozen.views
        if self.config.cache.activations and not self.activations.objection(boundary, [part], views):
            try:
                return self.activations.rows(boundary, part, name, views)
            except NotCachedError:
                if not fitted:  # pixels will do
                    raise
        return self.activations.in_memory(boundary, part, name)


def _depths(network: Network, rows: Batches) -> tuple[slice, ...]:
    """Return the columns of each depth that the head reads."""
    if reads_every_depth(network.features):
        return tuple(point.columns for point in split_points_of(network.features))
    return (slice(0, rows.shape[-1]),)


def _evaluation_batch(source: Batches, batch_size: int) -> int:
    """Return how many activations to evaluate at once: starting a step takes longer than computing a small one."""
    row_bytes = int(np.prod(source.shape)) * source.dtype.itemsize
    return max(batch_size, min(EVALUATION_BATCH_BYTES // row_bytes, LARGEST_EVALUATION_BATCH))


def _steps_at_once(source: Batches, steps: int) -> int:
    """Return how many steps to run without a return to Python, which takes longer than a step of a head alone."""
    if len(source.shape) > 1 or tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return 1
    return steps_at_once(steps)


def _faster_input_tip(config: Config, cached: bool) -> str:
    """Return what a person can do about a stage that waits for data."""
    if not cached and not config.cache.images:
        return f"cache=auto decodes each image once, cache={config.cache.name} in every epoch"
    if not cached and Augmentation(config.augmentation).changes_images:
        return "augmentation.views=4 augments each image four times, live in every epoch"
    return "use a faster disk for the cache ($HEADSTART_CACHE), or a larger batch_size, which needs fewer batches"


def _class_weight_note(kind: str, class_names: tuple[str, ...], weights: np.ndarray) -> str:
    """Return a sentence about the class weights; an empty one if all are equal."""
    if kind == "none":
        return ""
    least, most = int(weights.argmin()), int(weights.argmax())
    return (
        f"class_weight={kind}: an image counts from {weights[least]:.3g} ({class_names[least]}) to "
        f"{weights[most]:.3g} ({class_names[most]}), in the losses and accuracies of the epochs too"
    )
