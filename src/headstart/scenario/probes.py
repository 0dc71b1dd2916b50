"""The multi-depth probe of a data set: its accuracy on the validation images, and whether more images would help."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from headstart.config import Config
from headstart.data.batch_order import blocks_of
from headstart.data.index import ImageIndex
from headstart.data.pipeline import class_weights
from headstart.data.splits import training_fraction
from headstart.evaluation.learning_curve import LearningCurve, NoLearningCurve, extrapolate
from headstart.features.activation_cache import ActivationCache
from headstart.features.depth_features import DepthFeatures, build_multi_depth_outputs, depth_features
from headstart.training.ridge_head import ChosenColumns, fit_ridge_head

SHARES = (0.25, 0.5, 1.0)  # of the training images, for the learning curve


@dataclass(frozen=True)
class ProbeCurve:
    """Accuracies of the multi-depth probe on the validation images, by number of training images."""

    images: tuple[int, ...]  # ascending; the last is all
    accuracies: tuple[float, ...]  # 0 to 1
    validation_images: int

    def extrapolated(self) -> LearningCurve | NoLearningCurve:
        """Return the learning curve through the accuracies, or why there is none."""
        accuracies = np.array(self.accuracies)
        deviation = np.sqrt(accuracies * (1 - accuracies) / self.validation_images)
        return extrapolate(np.array(self.images), accuracies, deviation)


@dataclass(frozen=True)
class MultiDepthProbe:
    """Fits the multi-depth head on shares of the training images; the features are computed once."""

    training: ImageIndex
    validation: ImageIndex
    training_features: DepthFeatures
    validation_features: DepthFeatures
    config: Config
    build_seconds: float  # that building the backbone took

    def features_of(self, images: ImageIndex) -> DepthFeatures:
        """Return the features of some of the training images."""
        place = {path: position for position, path in enumerate(self.training.paths)}
        return self.training_features.take(np.array([place[path] for path in images.paths]))

    def correct(self, images: ImageIndex, last_depth: bool = False) -> np.ndarray:
        """Return which validation images a head gets right that was fitted on some training images, bool (n,).

        Args:
            images: some of the training images, with every class.
            last_depth: whether the head reads the last depth alone, not all of them.
        """
        depths = [point.columns for point in self.training_features.outputs.split_points]
        training, validation = self.features_of(images).rows, self.validation_features.rows
        if last_depth:
            training, validation = ChosenColumns(training, depths[-1]), ChosenColumns(validation, depths[-1])
            depths = [slice(0, training.shape[0])]
        weights = class_weights(images.labels, len(images.class_names), self.config.class_weight)
        fitted = fit_ridge_head(training, depths, images.labels, weights, self.config.dataset.split.seed)
        blocks = validation.batches(iter(blocks_of(np.arange(len(self.validation)))))
        predicted = np.concatenate([(block @ fitted.kernel + fitted.bias).argmax(axis=1) for block in blocks])
        return np.asarray(predicted == self.validation.labels)

    def curve(self) -> ProbeCurve:
        """Return the learning curve over SHARES of the training images, as far as they hold every class twice."""
        sizes, accuracies = [], []
        for share in SHARES:
            images = training_fraction(self.training, share, self.config.dataset.split.seed)
            if np.bincount(images.labels, minlength=len(self.training.class_names)).min() >= 2:
                sizes.append(len(images))
                accuracies.append(float(self.correct(images).mean()))
        return ProbeCurve(tuple(sizes), tuple(accuracies), len(self.validation))


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
    started = time.perf_counter()
    outputs, keep = build_multi_depth_outputs(config.backbone, image_size), config.cache.activations
    build_seconds = time.perf_counter() - started
    training, validation = index.split("train"), index.split("validation")
    return MultiDepthProbe(
        training,
        validation,
        depth_features(outputs, training, activations, keep),
        depth_features(outputs, validation, activations, keep, "validation"),
        config,
        build_seconds,
    )
