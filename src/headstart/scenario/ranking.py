"""Ranks backbones for a data set without training, by LogME on the input of a new head."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from headstart.config import BackboneConfig, Config, HeadConfig
from headstart.config.train_targets import HeadOnly
from headstart.core.errors import HeadstartError
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import open_activation_cache
from headstart.model.backbones.registry import check_image_size, get_entry
from headstart.model.backbones.weights import check_weights
from headstart.model.image_size import choose_image_size
from headstart.scenario.logme import log_maximum_evidence


@dataclass(frozen=True)
class RankedBackbone:
    """The LogME score of a backbone's features on a data set."""

    backbone: str
    weights: str
    image_size: int  # side in pixels
    logme: float | None  # None if it could not be computed
    features: int = 0  # number of features per image at the input of the head
    parameters: int = 0  # of the backbone
    seconds: float = 0.0  # to compute or read the features
    why_none: str = ""


def rank_backbones(config: Config, images: ImageIndex, names: list[str]) -> list[RankedBackbone]:
    """Return backbones by LogME, best first, those without a score last.

    Args:
        config: the data set, the image size, the cache.
        images: training images, with their digests.
        names: of backbones with ImageNet weights, see `check_rankable`.
    """
    ranked = [_rank(_with_backbone(config, name), images) for name in names]
    return sorted(ranked, key=lambda one: -np.inf if one.logme is None else one.logme, reverse=True)


def _with_backbone(config: Config, name: str) -> Config:
    """Return the configuration with another backbone and its ImageNet weights."""
    if name == config.backbone.name:
        return config
    return dataclasses.replace(config, backbone=BackboneConfig(name, get_entry(name).weights[-1]))


def _rank(config: Config, images: ImageIndex) -> RankedBackbone:
    """Return the LogME score of one backbone, or the reason if there is none, such as missing weights."""
    from headstart.features.boundary import frozen_boundary
    from headstart.model.network import build_network

    entry, backbone, classes = get_entry(config.backbone.name), config.backbone, len(images.class_names)
    size = choose_image_size(config, entry)
    try:
        check_image_size(entry, size)
        check_weights(entry, backbone.weights)
        network = build_network(backbone, HeadConfig("linear"), classes, size, seed=0)
    except HeadstartError as error:
        return RankedBackbone(backbone.name, backbone.weights, size, None, why_none=str(error))
    boundary = frozen_boundary(network, HeadOnly())
    if boundary is None:
        raise ValueError(f"Expected {backbone.name} to have a split point below its head")
    activations = open_activation_cache(config, size)
    started = time.perf_counter()
    if config.cache.activations and not activations.objection(boundary, [images]):
        features = activations.rows(boundary, images, "train").read(np.arange(len(images)))
    else:
        features = activations.in_memory(boundary, images, "train").values
    seconds = time.perf_counter() - started
    logme = log_maximum_evidence(features, images.labels, classes)
    return RankedBackbone(
        backbone.name,
        backbone.weights,
        size,
        logme,
        features.shape[1],
        network.backbone.count_params(),
        round(seconds, 3),
    )
