"""Ranks backbones for a data set without training: by the accuracy of a multi-depth probe, with LogME beside it.

LogME reads the last layer alone, and has been found unreliable (arXiv 2405.20420); it is shown for comparison.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from headstart.config import BackboneConfig, Config
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import open_activation_cache
from headstart.features.depth_features import DepthFeatures, build_multi_depth_outputs, depth_features
from headstart.model.backbones.registry import check_image_size, get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.image_size import choose_image_size
from headstart.scenario.logme import log_maximum_evidence
from headstart.training.ridge_head import fit_ridge_head


@dataclass(frozen=True)
class RankedBackbone:
    """The scores of a backbone's features on a data set."""

    backbone: str
    weights: str
    image_size: int  # side in pixels
    accuracy: float | None  # leave-one-out, of the multi-depth probe, 0 to 1; None if it could not be computed
    logme: float | None  # of the last layer
    features: int = 0  # number of features per image at all depths
    parameters: int = 0  # of the backbone
    seconds: float = 0.0  # to compute or read the features
    why_none: str = ""


def rank_backbones(
    config: Config, images: ImageIndex, names: list[str], known: DepthFeatures | None = None
) -> list[RankedBackbone]:
    """Return backbones by the accuracy of their multi-depth probes, best first, those without a score last.

    Args:
        config: the data set, the image size, the cache.
        images: training images, with their digests.
        names: of backbones with ImageNet weights, see `check_rankable`.
        known: the features of the images by the backbone of the configuration, if they are there.
    """
    ranked = [
        _rank(_with_backbone(config, name), images, known if name == config.backbone.name else None) for name in names
    ]
    return sorted(ranked, key=lambda one: -np.inf if one.accuracy is None else one.accuracy, reverse=True)


def _with_backbone(config: Config, name: str) -> Config:
    """Return the configuration with another backbone and its ImageNet weights."""
    if name == config.backbone.name:
        return config
    return dataclasses.replace(config, backbone=BackboneConfig(name, get_entry(name).weights[-1]))


def _rank(config: Config, images: ImageIndex, known: DepthFeatures | None) -> RankedBackbone:
    """Return the scores of one backbone, or the reason if there are none, such as missing weights."""
    entry, backbone, classes = get_entry(config.backbone.name), config.backbone, len(images.class_names)
    size = choose_image_size(config, entry)
    try:
        check_image_size(entry, size)
        check_weights(entry, backbone.weights)
        outputs = known.outputs if known else build_multi_depth_outputs(backbone, size)
    except HeadstartError as error:
        return RankedBackbone(backbone.name, backbone.weights, size, None, None, why_none=str(error))
    started = time.perf_counter()
    features = known or depth_features(outputs, images, open_activation_cache(config, size), config.cache.activations)
    last = features.at(outputs.split_points[-1])
    seconds = time.perf_counter() - started
    depths = [point.columns for point in outputs.split_points]
    fitted = fit_ridge_head(features.rows, depths, images.labels, np.ones(classes), seed=0)
    return RankedBackbone(
        backbone.name,
        backbone.weights,
        size,
        round(fitted.accuracy, 4),
        log_maximum_evidence(last, images.labels, classes),
        features.rows.shape[-1],
        outputs.parameters,
        round(seconds, 3),
    )
