"""What a stage is fitted on: pixels through the whole network, or activations that were computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from headstart.config import Config, StageConfig
from headstart.data.augment import Augmentation
from headstart.data.pipeline import class_weights, evaluation_dataset, training_dataset
from headstart.model.assemble import Network
from headstart.model.boundary import Boundary, frozen_boundary
from headstart.training.features import ActivationStore, compute_activations, storage_type
from headstart.training.fitted import is_fitted

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex


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
    training: tf.data.Dataset  # endless batches of inputs, targets and weights
    validation: tf.data.Dataset  # inputs and targets; with class weights those too
    steps: int  # batches in an epoch
    frozen_work: str = "every image runs through the whole network in every epoch"  # said to the user
    weighting: str = ""  # said to the user where the epochs' figures are weighted
    features: Features | None = None  # where scikit-learn fits the head


StageInputs = Callable[[Network, StageConfig, int], StageInput]


@dataclass
class ImageInputs:
    """The images of a run as the input of each of its stages; called with network, stage and the stage's number."""

    config: Config
    index: ImageIndex
    image_size: int
    store: ActivationStore

    def __call__(self, network: Network, stage: StageConfig, number: int) -> StageInput:
        """Return a stage's input; where its frozen part can be run once, that is done here."""
        config, one_sigmoid = self.config, self.config.head.output == "sigmoid"
        training, validation = self.index.split("train"), self.index.split("validation")
        fitted = is_fitted(config.head, stage)
        boundary, reason = self._boundary(network, stage)
        rows: dict[str, np.ndarray] = {}
        if boundary is not None:
            before = self.store.computed
            for name, part in (("train", training), ("validation", validation)):
                rows[name] = self._activations(boundary, part, name)
            fresh, both = self.store.computed - before, len(training) + len(validation)
            reason = f"frozen up to {boundary.cut}: {fresh:,} images computed once, {both - fresh:,} from the cache"
        read = (self.image_size, config.dataset.resize, config.batch_size)
        weights = class_weights(training.labels, len(self.index.class_names), config.class_weight)
        change = Augmentation(config.augmentation)
        return StageInput(
            model=boundary.suffix if boundary else network.training_model(stage.batch_norm),
            training=training_dataset(
                training, *read, change, weights, config.seed, one_sigmoid, number, rows.get("train")
            ),
            # Judged by what is wanted: else the best epoch could be one that gives the rare classes up.
            validation=evaluation_dataset(
                validation,
                *read,
                one_sigmoid,
                rows.get("validation"),
                None if config.class_weight == "none" else weights,
            ),
            steps=config.steps_per_epoch or -(-len(training) // config.batch_size),
            frozen_work=reason,
            weighting=_weighting(config.class_weight, self.index.class_names, weights),
            features=Features(rows["train"], training.labels, weights) if fitted else None,
        )

    def _boundary(self, network: Network, stage: StageConfig) -> tuple[Boundary | None, str]:
        """Return where the network is cut for a stage; or None and why every epoch runs the whole of it."""
        config, change = self.config, Augmentation(self.config.augmentation)
        boundary = frozen_boundary(network, stage.train)
        if is_fitted(config.head, stage):
            return boundary, ""
        if not config.cache.activations:
            return None, f"cache={config.cache.name}: what is frozen is computed in every epoch"
        if boundary is None:
            return None, f"{config.backbone.name} has no usable cut below what trains: nothing is computed once"
        if change.changes_images or change.mixes:
            return (
                None,
                f"augmentation {config.augmentation.name} changes images in every epoch: nothing is computed once",
            )
        if stage.batch_norm == "train":
            return None, "batch_norm: train: nothing is computed once"
        objection = self.store.objection(boundary, [self.index.split("train"), self.index.split("validation")])
        return (None, objection) if objection else (boundary, "")

    def _activations(self, boundary: Boundary, part: ImageIndex, name: str) -> np.ndarray:
        """Return the activations of a split, kept on disk where that is wanted and they fit."""
        resize = self.config.dataset.resize
        if self.config.cache.activations and not self.store.objection(boundary, [part]):
            return self.store.activations(boundary, part, self.image_size, resize, name)
        rows = np.empty((len(part), *boundary.prefix.output.shape[1:]), storage_type(boundary))
        compute_activations(boundary, part, self.image_size, resize, name, rows)
        self.store.computed += len(part)
        return rows


def _weighting(kind: str, class_names: tuple[str, ...], weights: np.ndarray) -> str:
    """Return a sentence about the weights of the classes; nothing where all are the same."""
    if kind == "none":
        return ""
    least, most = int(weights.argmin()), int(weights.argmax())
    return (
        f"class_weight={kind}: an image counts from {weights[least]:.3g} ({class_names[least]}) to "
        f"{weights[most]:.3g} ({class_names[most]}), in the losses and accuracies of the epochs too"
    )
