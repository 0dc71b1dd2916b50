"""Features of a pretrained network at several depths, reduced to a few numbers for each image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from headstart.config import BackboneConfig, Config
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import activations_for
from headstart.features.depth_features import Cut, DepthFeatures, build_taps, depth_features

BACKBONE = BackboneConfig("efficientnet_lite0", "packaged")  # its weights come with the installation
DEPTHS = (0.5, 0.7, 0.85, 1.0)  # share of its layers
COMPONENTS = 128  # that are kept of each depth
READ_AT_ONCE = 512  # images


def reduced_features(config: Config, index: ImageIndex, image_size: int) -> list[np.ndarray]:
    """Return for each of DEPTHS the principal components of the averaged features, float32 (n, COMPONENTS or fewer).

    The features come from the cache, where another audit or a measured scenario has left them.

    Args:
        config: of the run or the program; its own backbone plays no part.
        index: the images, with their digests.
        image_size: side in pixels.
    """
    config = dataclasses.replace(config, backbone=BACKBONE)
    taps = build_taps(config.backbone, image_size)
    features = depth_features(taps, index, activations_for(config, image_size), config.cache.activations)
    cuts = list({cut.name: cut for cut in (_nearest(taps.cuts, depth) for depth in DEPTHS)}.values())
    axes = _principal_axes(features, cuts)
    parts: list[list[np.ndarray]] = [[] for _ in cuts]
    for batch in _batches(features):
        for part, cut, (mean, projection) in zip(parts, cuts, axes, strict=True):
            part.append(((batch[:, cut.columns] - mean) @ projection).astype(np.float32))
    return [np.concatenate(part) for part in parts]


def _principal_axes(features: DepthFeatures, cuts: list[Cut]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each cut the mean of its features and the projection of the standardised ones: one pass for all."""
    widths = [cut.columns.stop - cut.columns.start for cut in cuts]
    totals = [np.zeros(width) for width in widths]
    products = [np.zeros((width, width)) for width in widths]
    for batch in _batches(features):
        for cut, total, product in zip(cuts, totals, products, strict=True):
            values = batch[:, cut.columns].astype(np.float64)
            total += values.sum(axis=0)
            product += values.T @ values
    found = []
    for total, product in zip(totals, products, strict=True):
        mean = total / features.count
        covariance = product / features.count - np.outer(mean, mean)
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        squares, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        kept = np.argsort(squares)[::-1][: min(COMPONENTS, features.count - 1)]
        found.append((mean, vectors[:, kept] / scale[:, None]))
    return found


def _batches(features: DepthFeatures) -> Iterator[np.ndarray]:
    starts = range(0, features.count, READ_AT_ONCE)
    return features.rows.batches(
        iter([np.arange(start, min(start + READ_AT_ONCE, features.count)) for start in starts])
    )


def _nearest(cuts: tuple[Cut, ...], depth: float) -> Cut:
    return min(cuts, key=lambda cut: abs(cut.depth - depth))
