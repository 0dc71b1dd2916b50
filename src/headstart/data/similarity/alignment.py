"""Aligns pairs of thumbnails and measures the similarity of their edges, for many pairs at once."""

from __future__ import annotations

import functools

import numpy as np

SIDE = 32  # pixels of a thumbnail
STEPS = 3  # of an alignment, before its similarity is checked again
WORTH_ALIGNING = (0.25, 0.65, 0.85)  # minimum similarity, as a share of the threshold, to continue after each round
MIN_OVERLAP = 0.5  # share of the pixels
FLAT = 2.0  # levels of 255; less contrast is noise
MAX_ALIGNED_THRESHOLD = 0.95  # beyond it, alignment makes different images too similar
MAX_SCALE, MIN_SCALE = 1.5, 0.6  # relative scale of two images


@functools.cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the centres of the pixels of a square image, -1 to 1, float32 (side * side,) each."""
    axis = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x.reshape(-1), y.reshape(-1)


def standardised(thumbnails: np.ndarray) -> np.ndarray:
    """Return thumbnails with mean 0 and deviation 1, float32 (n, SIDE, SIDE), to ignore brightness and contrast."""
    values = thumbnails.astype(np.float32)
    values = values - values.mean(axis=(1, 2), keepdims=True)
    flat = FLAT if thumbnails.dtype == np.uint8 else 1e-3
    return values / (values.std(axis=(1, 2), keepdims=True) + flat)


def edges(images: np.ndarray) -> np.ndarray:
    """Return the differences of neighbouring pixels as vectors of length 1, (n, d).

    Similar images share large shapes, but not the small differences between neighbouring pixels.
    """
    across, down = np.diff(images, axis=2)[:, :-1], np.diff(images, axis=1)[:, :, :-1]
    return _unit(np.stack([across, down], axis=1).reshape(len(images), -1))


def warped(images: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images transformed by affine maps, and a mask of the pixels inside the original.

    Args:
        images: float32 (n, side, side).
        matrices: (n, 2, 3) or (1, 2, 3), from (x, y, 1) of the result to (x, y) of the original, -1 to 1.
    """
    side = images.shape[1]
    across, down = _grid(side)
    x = matrices[:, 0, 0, None] * across + matrices[:, 0, 1, None] * down + matrices[:, 0, 2, None]
    y = matrices[:, 1, 0, None] * across + matrices[:, 1, 1, None] * down + matrices[:, 1, 2, None]
    inside = (np.abs(x) <= 1) & (np.abs(y) <= 1)
    column = np.clip((x + 1) * (side / 2) - 0.5, 0, side - 1.001)
    row = np.clip((y + 1) * (side / 2) - 0.5, 0, side - 1.001)
    left, top = column.astype(np.intp), row.astype(np.intp)
    right_share, lower_share = column - left, row - top
    flat = images.reshape(len(images), -1)
    top_left = top * side + left
    if len(matrices) == 1:
        top_left, inside = np.broadcast_to(top_left, flat.shape), np.broadcast_to(inside, flat.shape)

    def pixels_at(offset: int) -> np.ndarray:
        return np.take_along_axis(flat, top_left + offset, axis=1)

    upper = pixels_at(0) * (1 - right_share) + pixels_at(1) * right_share
    lower = pixels_at(side) * (1 - right_share) + pixels_at(side + 1) * right_share
    values = upper * (1 - lower_share) + lower * lower_share
    return values.reshape(images.shape).astype(np.float32), inside.reshape(images.shape)


def similarity(first: np.ndarray, second: np.ndarray, matrices: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the similarity of the edges of each second image and the transformed first one: -1 to 1, (n,).

    Args:
        first: float32 (n, SIDE, SIDE).
        second: float32 (n, SIDE, SIDE).
        matrices: (n, 2, 3), see `warped`.
        mean: float32 (SIDE, SIDE), the mean image of the dataset, which is subtracted from both.
    """
    transformed, inside = warped(first, matrices)
    overlap = inside & np.roll(inside, -1, axis=2) & np.roll(inside, -1, axis=1)
    overlap = np.stack([overlap[:, :-1, :-1]] * 2, axis=1).reshape(len(first), -1)
    score = (_unit(edges(transformed - mean) * overlap) * _unit(edges(second - mean) * overlap)).sum(axis=1)
    return np.where(overlap.mean(axis=1) >= MIN_OVERLAP, score, -1.0)


def aligned_similarity(
    first: np.ndarray, second: np.ndarray, matrices: np.ndarray, mean: np.ndarray, threshold: float
) -> np.ndarray:
    """Return the similarity after aligning each first image with the second first by a small affine map.

    Args:
        first: float32 (n, SIDE, SIDE).
        second: float32 (n, SIDE, SIDE).
        matrices: (n, 2, 3), the initial maps.
        mean: float32 (SIDE, SIDE), see `similarity`.
        threshold: a sufficient similarity; pairs far below it are dropped early.

    Source: S. Baker, I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", IJCV 2004 (inverse compositional).
    """
    best = similarity(first, second, matrices, mean)
    maps = np.concatenate([matrices, np.broadcast_to([[[0, 0, 1]]], (len(first), 1, 3))], axis=1).astype(np.float64)
    for share in WORTH_ALIGNING if threshold < MAX_ALIGNED_THRESHOLD else ():
        remaining = np.flatnonzero((best >= share * threshold) & (best < threshold))
        if len(remaining) == 0:
            break
        maps[remaining] = _align_maps(_halved(first[remaining]), _halved(second[remaining]), maps[remaining])
        scale = np.abs(np.linalg.det(maps[remaining][:, :2, :2])) ** 0.5
        score = similarity(first[remaining], second[remaining], maps[remaining][:, :2].astype(np.float32), mean)
        best[remaining] = np.maximum(
            best[remaining], np.where((scale >= MIN_SCALE) & (scale <= MAX_SCALE), score, -1.0)
        )
    return best


def _align_maps(source: np.ndarray, template: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return maps, (n, 3, 3), after some steps of aligning each source with its template."""
    side = source.shape[1]
    x, y = _grid(side)
    down, across = np.gradient(template, axis=(1, 2))
    across, down = (values.reshape(len(source), -1) * (side / 2) for values in (across, down))
    directions = np.stack([across * x, across * y, across, down * x, down * y, down], axis=1)
    normal = directions @ directions.transpose(0, 2, 1) + 1e-3 * np.eye(6)
    for _ in range(STEPS):
        seen, inside = warped(source, maps[:, :2].astype(np.float32))
        weight = inside.reshape(len(source), -1).astype(np.float32)
        error = (_centred(seen, weight) - _centred(template, weight)) * weight
        step = np.linalg.solve(normal, directions @ error[:, :, None])[:, :, 0]
        change = np.tile(np.eye(3), (len(source), 1, 1))
        change[:, :2] += np.clip(step, -0.2, 0.2).reshape(-1, 2, 3)
        maps = maps @ np.linalg.inv(change)
    return maps


def _centred(images: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return images as vectors with mean 0 and deviation 1 over the weighted pixels."""
    values = images.reshape(len(images), -1)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    values = values - (values * weight).sum(axis=1, keepdims=True) / total
    return values / np.sqrt((values**2 * weight).sum(axis=1, keepdims=True) / total + 1e-6)


def _halved(images: np.ndarray) -> np.ndarray:
    """Return images at half the size, which align faster and from a less accurate first guess."""
    half = images.shape[1] // 2
    return images.reshape(-1, half, 2, half, 2).mean(axis=(2, 4))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)
