"""Measures which scenario training images are in: how many there are, where a pretrained network serves them best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.config import Config
from headstart.core.console import track
from headstart.data.index import ImageIndex
from headstart.data.splits import training_fraction
from headstart.features.activation_cache import ActivationCache
from headstart.features.depth_features import DepthFeatures, build_multi_depth_outputs, depth_features
from headstart.model.imagenet import imagenet_classes
from headstart.scenario.check import check_measurable
from headstart.scenario.probe import probe
from headstart.scenario.square import Placement, SplitPointProbe, place, view_of_imagenet

MOST_IMAGES = 1000  # that are measured: an accuracy is then known to 3 % at worst, and a probe takes about a second
LEAST_PER_CLASS = 10  # of them, where there are so many classes that fewer would be left


def images_to_measure(index: ImageIndex, seed: int) -> ImageIndex:
    """Return training images to measure: all, or as many as MOST_IMAGES, of each class its share.

    Args:
        index: the data set; validation and test images are never looked at.
        seed: another one takes other images.
    """
    training = index.split("train")
    most = max(MOST_IMAGES, LEAST_PER_CLASS * len(index.class_names))
    return training_fraction(training, min(1.0, most / len(training)), seed)


def measure(config: Config, index: ImageIndex, image_size: int, activations: ActivationCache) -> Placement:
    """Measure the training images of a data set, and place them in the square.

    The run's seed has no part in it, so that runs that differ in nothing else are in the same scenario.

    Args:
        config: the backbone and the data set.
        index: all images, with their digests.
        image_size: side in pixels.
        activations: keeps what is computed.

    Raises:
        HeadstartError: as `check_measurable`, and when the weights of the backbone are missing.
    """
    check_measurable(config)
    images = images_to_measure(index, config.dataset.split.seed)
    classes = len(index.class_names)
    taps = build_multi_depth_outputs(config.backbone, image_size)
    features = depth_features(taps, images, activations, config.cache.activations)
    found = list(_probes(features, images.labels, classes))
    probabilities = features.probabilities()
    return place(
        index.counts()["train"],
        [cut_probe for cut_probe, _ in found],
        np.stack([correct for _, correct in found]),
        None if probabilities is None else view_of_imagenet(probabilities, imagenet_classes()),
        taps.why_none,
        float(np.bincount(images.labels).max() / len(images)),
    )


def _probes(features: DepthFeatures, labels: np.ndarray, classes: int) -> Iterator[tuple[SplitPointProbe, np.ndarray]]:
    """Yield for each cut what its probe gives, and which images it gets right."""
    split_points = features.outputs.split_points
    for point in track(split_points, len(split_points), "probing every cut"):
        values = features.at(point)
        result = probe(values, labels, classes)
        yield (
            SplitPointProbe(point.name, round(point.depth, 4), values.shape[1], result.accuracy),
            result.correct,
        )
