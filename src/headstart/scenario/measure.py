"""Measures the scenario of training images: how many there are, and which depth of a pretrained network suits them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.core.console import track
from headstart.data.index import ImageIndex
from headstart.data.splits import training_fraction
from headstart.features.depth_features import DepthFeatures, imagenet_probabilities
from headstart.model.imagenet import imagenet_classes
from headstart.results.scenario import SplitPointProbe
from headstart.scenario.probe import probe as linear_probe
from headstart.scenario.probes import MultiDepthProbe
from headstart.scenario.square import Placement, find_placement, summarize_imagenet_predictions

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


def measure_scenario(probe: MultiDepthProbe) -> Placement:
    """Measure the scenario of a data set on its training images.

    The result does not depend on the run's seed, so runs that differ only in the seed are in the same scenario.

    Args:
        probe: of the data set, whose features are measured.
    """
    config, images = probe.config, images_to_measure(probe.training, probe.config.dataset.split.seed)
    features = probe.features_of(images)
    image_size = int(features.outputs.boundary.prefix.input.shape[1])
    found = list(_probes(features, images.labels, len(images.class_names)))
    probabilities, why_none = imagenet_probabilities(features, config.backbone, image_size)
    return find_placement(
        probe.training.counts()["train"],
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
        result = linear_probe(values, labels, classes)
        yield (
            SplitPointProbe(
                split_point=point.name,
                depth=round(point.depth, 4),
                channels=values.shape[1],
                accuracy=result.accuracy,
            ),
            result.correct,
        )
