"""The multi-depth probe of a data set: its accuracy on the validation images, and whether more images would help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headstart.config import Config
from headstart.data.batch_order import blocks_of
from headstart.data.index import ImageIndex
from headstart.data.pipeline import class_weights
from headstart.data.pixel_cache import Batches
from headstart.data.splits import training_fraction
from headstart.evaluation.learning_curve import LearningCurve, NoLearningCurve, extrapolate
from headstart.features.activation_cache import ActivationCache
from headstart.features.depth_features import DepthFeatures, build_multi_depth_outputs, depth_features
from headstart.training.ridge_head import fit_ridge_head

SHARES = (0.25, 0.5, 1.0)  # of the training images, for the learning curve


@dataclass(frozen=True)
class ProbeCurve:
    """Accuracies of the multi-depth probe on the validation images, by number of training images."""

    images: tuple[int, ...]  # ascending; the last is all
    accuracies: tuple[float, ...]  # 0 to 1
    curve: LearningCurve | NoLearningCurve


@dataclass(frozen=True)
class _Chosen:
    """Some rows of others."""

    rows: Batches
    positions: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype:
        return self.rows.dtype

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        return self.rows.batches(self.positions[positions] for positions in order)


@dataclass(frozen=True)
class MultiDepthProbe:
    """Fits the multi-depth head on shares of the training images; the features are computed once."""

    training: ImageIndex
    validation: ImageIndex
    training_features: DepthFeatures
    validation_features: DepthFeatures
    config: Config

    def accuracy(self, images: ImageIndex) -> float:
        """Return the accuracy on the validation images after fitting on some training images, 0 to 1.

        Args:
            images: some of the training images, with every class.
        """
        place = {path: position for position, path in enumerate(self.training.paths)}
        positions = np.array([place[path] for path in images.paths])
        classes = len(self.training.class_names)
        fitted = fit_ridge_head(
            _Chosen(self.training_features.rows, positions),
            [point.columns for point in self.training_features.outputs.split_points],
            images.labels,
            class_weights(images.labels, classes, self.config.class_weight),
            self.config.seed,
        )
        blocks = self.validation_features.rows.batches(iter(blocks_of(np.arange(len(self.validation)))))
        predicted = np.concatenate([(block @ fitted.kernel + fitted.bias).argmax(axis=1) for block in blocks])
        return float((predicted == self.validation.labels).mean())

    def curve(self) -> ProbeCurve:
        """Return the learning curve over SHARES of the training images, as far as they hold every class twice."""
        sizes, accuracies = [], []
        for share in SHARES:
            images = training_fraction(self.training, share, self.config.dataset.split.seed)
            if np.bincount(images.labels, minlength=len(self.training.class_names)).min() >= 2:
                sizes.append(len(images))
                accuracies.append(self.accuracy(images))
        deviation = np.sqrt(np.array(accuracies) * (1 - np.array(accuracies)) / len(self.validation))
        return ProbeCurve(
            tuple(sizes), tuple(accuracies), extrapolate(np.array(sizes), np.array(accuracies), deviation)
        )


def multi_depth_probe(
    config: Config, index: ImageIndex, image_size: int, activations: ActivationCache
) -> MultiDepthProbe:
    """Compute the features of the training and validation images at every depth, which are cached.

    Args:
        config: the backbone and the data set.
        index: all images, with their digests.
        image_size: side in pixels.
        activations: the activation cache.
    """
    outputs, keep = build_multi_depth_outputs(config.backbone, image_size), config.cache.activations
    training, validation = index.split("train"), index.split("validation")
    return MultiDepthProbe(
        training,
        validation,
        depth_features(outputs, training, activations, keep),
        depth_features(outputs, validation, activations, keep, "validation"),
        config,
    )
