"""Measures the scenario of training images: how many there are, and which depth of a pretrained network suits them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.config import Config
from headstart.core.console import track
from headstart.data.index import ImageIndex
from headstart.data.splits import training_fraction
from headstart.features.activation_cache import ActivationCache
from headstart.features.depth_features import (
    DepthFeatures,
    build_multi_depth_outputs,
    depth_features,
    imagenet_probabilities,
)
from headstart.model.imagenet import imagenet_classes
from headstart.scenario.check import check_measurable
from headstart.scenario.probe import probe
from headstart.scenario.square import Placement, SplitPointProbe, find_placement, summarize_imagenet_predictions

MAX_IMAGES = 1000  # an accuracy is then known to 3 % at worst, and a probe takes about a second
MIN_PER_CLASS = 10  # with many classes, this many images per class are measured instead


def images_to_measure(index: ImageIndex, seed: int) -> ImageIndex:
    """Return up to MAX_IMAGES training images, stratified by class.

    Args:
        index: the data set; validation and test images are not used.
        seed: of the selection.
    """
    training = index.split("train")
    limit = max(MAX_IMAGES, MIN_PER_CLASS * len(index.class_names))
    return training_fraction(training, min(1.0, limit / len(training)), seed)


def measure_scenario(config: Config, index: ImageIndex, image_size: int, activations: ActivationCache) -> Placement:
    """Measure the scenario of a data set on its training images.

    The result does not depend on the run's seed, so runs that differ only in the seed are in the same scenario.

    Args:
        config: the backbone and the data set.
        index: all images, with their digests.
        image_size: side in pixels.
        activations: the activation cache.

    Raises:
        HeadstartError: as `check_measurable`, and when the weights of the backbone are missing.
    """
    check_measurable(config)
    images = images_to_measure(index, config.dataset.split.seed)
    classes = len(index.class_names)
    outputs = build_multi_depth_outputs(config.backbone, image_size)
    features = depth_features(outputs, images, activations, config.cache.activations)
    found = list(_probes(features, images.labels, classes))
    probabilities, why_none = imagenet_probabilities(features, config.backbone, image_size)
    return find_placement(
        index.counts()["train"],
        [one for one, _ in found],
        np.stack([correct for _, correct in found]),
        None if probabilities is None else summarize_imagenet_predictions(probabilities, imagenet_classes()),
        why_none,
        float(np.bincount(images.labels).max() / len(images)),
    )


def _probes(features: DepthFeatures, labels: np.ndarray, classes: int) -> Iterator[tuple[SplitPointProbe, np.ndarray]]:
    """Yield the probe at each split point, and which images it gets right."""
    split_points = features.outputs.split_points
    for point in track(split_points, len(split_points), "probing every split point"):
        values = features.at(point)
        result = probe(values, labels, classes)
        yield (
            SplitPointProbe(point.name, round(point.depth, 4), values.shape[1], result.accuracy),
            result.correct,
        )
