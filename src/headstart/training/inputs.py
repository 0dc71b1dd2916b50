"""What a stage is fitted on: pixels through the whole network, or activations that were computed once."""

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
from headstart.data.pipeline import class_weights, evaluation_dataset, training_dataset
from headstart.features.activation_cache import ActivationCache, InMemory, Views
from headstart.features.boundary import Boundary, frozen_boundary
from headstart.model.freeze import trains_everything
from headstart.model.network import Network
from headstart.training.linear_head import fits_linear_head
from headstart.training.step_groups import steps_at_once

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.data.pixel_cache import Batches


SMALL_BYTES = 1 << 25  # of a batch of activations in evaluation
MOST_AT_ONCE = 1024  # images in a batch of evaluation


@dataclass
class Features:
    """The training split as arrays, for a head that scikit-learn fits."""

    activations: np.ndarray  # (n, features)
    labels: np.ndarray  # int (n,)
    class_weights: np.ndarray  # (classes,)


@dataclass
class StageInput:
    """What one stage is fitted on, and with which model."""

    model: keras.Model  # shares its variables with the classifier
    # From the number of a batch in the stage to batches of inputs, targets and weights from there to its end or on.
    training: Callable[[int], tf.data.Dataset]
    validation: tf.data.Dataset  # inputs and targets; with class weights those too
    steps: int  # batches in an epoch
    steps_at_once: int = 1  # between two callbacks; the last ones of an epoch may be fewer
    sooner: str = "a larger batch_size asks for fewer batches"  # what would give it its batches sooner
    frozen_work: str = "every image runs through the whole network in every epoch"  # said to the user
    weighting: str = ""  # said to the user where the epochs' figures are weighted
    features: Features | None = None  # where scikit-learn fits the head


StageInputs = Callable[[Network, StageConfig, int], StageInput]


@dataclass
class ImageInputs:
    """The images of a run as the input of each of its stages; called with network, stage and the stage's number."""

    config: Config
    index: ImageIndex
    activations: ActivationCache

    def __call__(self, network: Network, stage: StageConfig, number: int) -> StageInput:
        """Return a stage's input; where its frozen part can be run once, that is done here."""
        config, one_sigmoid = self.config, self.config.head.output == "sigmoid"
        training, validation = self.index.split("train"), self.index.split("validation")
        change: Augmentation | None = Augmentation(config.augmentation)
        boundary, views, reason = self._boundary(network, stage)
        features: Features | None = None
        weights = class_weights(training.labels, len(self.index.class_names), config.class_weight)
        given: tuple[Batches, Batches]
        before = self.activations.computed, self.activations.reused
        if boundary is not None:
            try:
                frozen = self._frozen(boundary, training, "train", views)
                given = frozen, self._frozen(boundary, validation, "validation", None)
            except NotCachedError as error:
                boundary, views, reason = None, None, f"{error}: what is frozen is computed in every epoch"
        if boundary is None:
            pixels = self.activations.pixels
            given = pixels.of(training, "train"), pixels.of(validation, "validation")
        else:
            if fits_linear_head(config.head, stage):  # scikit-learn needs one array
                features = Features(frozen.read(np.arange(len(training))), training.labels, weights)
            fresh, there = self.activations.computed - before[0], self.activations.reused - before[1]
            what = f"images, {views.count} views of each training image among them," if views else "images"
            reason = f"frozen up to {boundary.split_point}: {fresh:,} {what} computed once, {there:,} from the cache"
            change = None
        steps = config.steps_per_epoch or -(-len(training) // config.batch_size)
        return StageInput(
            model=boundary.suffix if boundary else network.training_model(stage.batch_norm),
            training=partial(
                training_dataset,
                training,
                given[0],
                config.batch_size,
                change,
                weights,
                config.seed,
                one_sigmoid,
                number,
                views.count if views else 1,
                batches=steps * stage.epochs,
            ),
            # Judged by what is wanted: else the best epoch could be one that gives the rare classes up.
            validation=evaluation_dataset(
                validation,
                given[1],
                _evaluation_batch(given[1], config.batch_size) if boundary else config.batch_size,
                one_sigmoid,
                None if config.class_weight == "none" else weights,
            ),
            steps=steps,
            steps_at_once=_steps_at_once(given[0], steps),
            sooner=_sooner(config, cached=boundary is not None),
            frozen_work=reason,
            weighting=_weighting(config.class_weight, self.index.class_names, weights),
            features=features,
        )

    def _boundary(self, network: Network, stage: StageConfig) -> tuple[Boundary | None, Views | None, str]:
        """Return where the network is cut for a stage and the views that are kept; or why the whole is run always."""
        config, change = self.config, Augmentation(self.config.augmentation)
        boundary = frozen_boundary(network, stage.train)
        if fits_linear_head(config.head, stage):
            return boundary, None, ""
        if trains_everything(network, stage.train):
            return None, None, "everything trains: nothing is computed once"
        if not config.cache.activations:
            return None, None, f"cache={config.cache.name}: what is frozen is computed in every epoch"
        if boundary is None:
            return None, None, f"{config.backbone.name} has no usable cut below what trains: nothing is computed once"
        if stage.batch_norm == "train":
            return None, None, "batch_norm: train: nothing is computed once"
        if change.mixes:
            return (
                None,
                None,
                f"augmentation {change.config.name} mixes images afresh: nothing is computed once",
            )
        views = None
        if change.changes_images:
            if change.config.views == "live":
                name = change.config.name
                return None, None, f"augmentation {name} changes images in every epoch: nothing is computed once"
            views = Views(change, change.config.views)
        parts = [self.index.split("train"), self.index.split("validation")]
        objection = self.activations.objection(boundary, parts, views)
        return (None, None, objection) if objection else (boundary, views, "")

    def _frozen(self, boundary: Boundary, part: ImageIndex, name: str, views: Views | None) -> Rows | InMemory:
        """Return the activations of a split, kept on disk where that is wanted and they fit."""
        if self.config.cache.activations and not self.activations.objection(boundary, [part], views):
            try:
                return self.activations.rows(boundary, part, name, views)
            except NotCachedError:
                if self.config.head.fit == "gradient" or views:  # which can do without; scikit-learn cannot
                    raise
        return self.activations.in_memory(boundary, part, name)


def _evaluation_batch(given: Batches, batch_size: int) -> int:
    """Return how many activations are evaluated at once: a step of small ones takes no longer than its start."""
    row_bytes = int(np.prod(given.shape)) * given.dtype.itemsize
    return max(batch_size, min(SMALL_BYTES // row_bytes, MOST_AT_ONCE))


def _steps_at_once(given: Batches, steps: int) -> int:
    """Return how many steps are done without a return to Python, which takes longer than a step of a head alone."""
    if len(given.shape) > 1 or tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return 1
    return steps_at_once(steps)


def _sooner(config: Config, cached: bool) -> str:
    """Return what a person can do where a stage waits for its input."""
    if not cached and not config.cache.images:
        return f"cache=auto decodes each image once, cache={config.cache.name} in every epoch"
    if not cached and Augmentation(config.augmentation).changes_images:
        return "augmentation.views=4 augments each image four times, live in every epoch"
    return "a faster disk for the cache ($HEADSTART_CACHE), or a larger batch_size, which asks for fewer batches"


def _weighting(kind: str, class_names: tuple[str, ...], weights: np.ndarray) -> str:
    """Return a sentence about the weights of the classes; nothing where all are the same."""
    if kind == "none":
        return ""
    least, most = int(weights.argmin()), int(weights.argmax())
    return (
        f"class_weight={kind}: an image counts from {weights[least]:.3g} ({class_names[least]}) to "
        f"{weights[most]:.3g} ({class_names[most]}), in the losses and accuracies of the epochs too"
    )
