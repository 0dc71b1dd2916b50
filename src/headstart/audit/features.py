"""Features of a pretrained network at several depths, reduced by principal component analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from headstart.config import BackboneConfig, Config
from headstart.data.batch_order import blocks_of
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import open_activation_cache
from headstart.features.depth_features import DepthFeatures, build_multi_depth_outputs, depth_features
from headstart.model.multi_depth import SplitPoint

BACKBONE = BackboneConfig("efficientnet_lite0", "packaged")  # its weights are installed with headstart
DEPTHS = (0.5, 0.7, 0.85, 1.0)  # share of its layers
COMPONENTS = 128  # per depth
BATCH_SIZE = 512  # images


def reduced_features(config: Config, index: ImageIndex, image_size: int) -> list[np.ndarray]:
    """Return for each of DEPTHS the principal components of the pooled features, float32 (n, COMPONENTS or fewer).

    The features are cached, and shared with other audits and with `scenario=auto`.

    Args:
        config: of the caches; its backbone is ignored.
        index: the images, with their digests.
        image_size: side in pixels.
    """
    config = dataclasses.replace(config, backbone=BACKBONE)
    outputs = build_multi_depth_outputs(config.backbone, image_size)
    features = depth_features(outputs, index, open_activation_cache(config, image_size), config.cache.activations)
    split_points = list(
        {point.name: point for point in (_nearest(outputs.split_points, depth) for depth in DEPTHS)}.values()
    )
    axes = _principal_axes(features, split_points)
    parts: list[list[np.ndarray]] = [[] for _ in split_points]
    for batch in _batches(features):
        for part, point, (mean, projection) in zip(parts, split_points, axes, strict=True):
            part.append(((batch[:, point.columns] - mean) @ projection).astype(np.float32))
    return [np.concatenate(part) for part in parts]


def _principal_axes(features: DepthFeatures, split_points: list[SplitPoint]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each split point the mean of its features and the projection of standardised ones, in one pass."""
    widths = [point.columns.stop - point.columns.start for point in split_points]
    totals = [np.zeros(width) for width in widths]
    products = [np.zeros((width, width)) for width in widths]
    for batch in _batches(features):
        for point, total, product in zip(split_points, totals, products, strict=True):
            values = batch[:, point.columns].astype(np.float64)
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
    return features.rows.batches(iter(blocks_of(np.arange(features.count), BATCH_SIZE)))


def _nearest(split_points: tuple[SplitPoint, ...], depth: float) -> SplitPoint:
    return min(split_points, key=lambda point: abs(point.depth - depth))
