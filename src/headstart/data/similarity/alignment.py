"""Lays one thumbnail over another, and says how well their edges agree: many pairs at once."""

from __future__ import annotations

import functools

import numpy as np

SIDE = 32  # pixels of a thumbnail
STEPS = 3  # of the alignment before it is looked at again
WORTH_ALIGNING = (0.25, 0.65, 0.85)  # similarity, as a share of what is wanted, from which it goes on
LEAST_INSIDE = 0.5  # of the pixels, where two images overlap
FLAT = 2.0  # levels of 255: contrast that is noise
TOO_ALIKE = 0.95  # wanted similarity from which different images fit each other too well when they are moved
LARGEST, SMALLEST = 1.5, 0.6  # scale of one image against the other


@functools.cache
def _grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the centres of the pixels of a square image, -1 to 1, float32 (side * side,) each."""
    axis = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x.reshape(-1), y.reshape(-1)


def standardised(thumbnails: np.ndarray) -> np.ndarray:
    """Return thumbnails with mean 0 and deviation 1, float32 (n, SIDE, SIDE): brightness and contrast are gone."""
    values = thumbnails.astype(np.float32)
    values = values - values.mean(axis=(1, 2), keepdims=True)
    flat = FLAT if thumbnails.dtype == np.uint8 else 1e-3
    return values / (values.std(axis=(1, 2), keepdims=True) + flat)


def edges(images: np.ndarray) -> np.ndarray:
    """Return the differences of neighbouring pixels as vectors of length 1, (n, d).

    Images of one kind share their large shapes; small differences between neighbours are an image's own.
    """
    across, down = np.diff(images, axis=2)[:, :-1], np.diff(images, axis=1)[:, :, :-1]
    return _unit(np.stack([across, down], axis=1).reshape(len(images), -1))


def warped(images: np.ndarray, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images seen through affine maps, and which of their pixels lie inside the original.

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
    place = top * side + left
    if len(matrices) == 1:
        place, inside = np.broadcast_to(place, flat.shape), np.broadcast_to(inside, flat.shape)

    def at(offset: int) -> np.ndarray:
        return np.take_along_axis(flat, place + offset, axis=1)

    upper = at(0) * (1 - right_share) + at(1) * right_share
    lower = at(side) * (1 - right_share) + at(side + 1) * right_share
    values = upper * (1 - lower_share) + lower * lower_share
    return values.reshape(images.shape).astype(np.float32), inside.reshape(images.shape)


def similarity(one: np.ndarray, other: np.ndarray, matrices: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return how well the edges of one image, seen through a map, agree with another's: -1 to 1, (n,).

    Args:
        one: float32 (n, SIDE, SIDE).
        other: float32 (n, SIDE, SIDE).
        matrices: (n, 2, 3), see `warped`.
        usual: float32 (SIDE, SIDE), what all images of the data set have in common, which proves nothing.
    """
    seen, inside = warped(one, matrices)
    both = inside & np.roll(inside, -1, axis=2) & np.roll(inside, -1, axis=1)
    both = np.stack([both[:, :-1, :-1]] * 2, axis=1).reshape(len(one), -1)
    score = (_unit(edges(seen - usual) * both) * _unit(edges(other - usual) * both)).sum(axis=1)
    return np.where(both.mean(axis=1) >= LEAST_INSIDE, score, -1.0)


def aligned(one: np.ndarray, other: np.ndarray, matrices: np.ndarray, usual: np.ndarray, wanted: float) -> np.ndarray:
    """Return the similarity after each image has been moved, scaled and turned a little until it fits the other.

    Args:
        one: float32 (n, SIDE, SIDE).
        other: float32 (n, SIDE, SIDE).
        matrices: (n, 2, 3), where to begin.
        usual: float32 (SIDE, SIDE), see `similarity`.
        wanted: similarity that is enough; pairs that stay far below are given up early.

    Source: S. Baker, I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", IJCV 2004 (inverse compositional).
    """
    best = similarity(one, other, matrices, usual)
    maps = np.concatenate([matrices, np.broadcast_to([[[0, 0, 1]]], (len(one), 1, 3))], axis=1).astype(np.float64)
    for share in WORTH_ALIGNING if wanted < TOO_ALIKE else ():
        left = np.flatnonzero((best >= share * wanted) & (best < wanted))
        if len(left) == 0:
            break
        maps[left] = _fitted(_halved(one[left]), _halved(other[left]), maps[left])
        scale = np.abs(np.linalg.det(maps[left][:, :2, :2])) ** 0.5
        score = similarity(one[left], other[left], maps[left][:, :2].astype(np.float32), usual)
        best[left] = np.maximum(best[left], np.where((scale >= SMALLEST) & (scale <= LARGEST), score, -1.0))
    return best


def _fitted(source: np.ndarray, template: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return maps, (n, 3, 3), after some steps towards where each source fits its template."""
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
    """Return images as vectors with mean 0 and deviation 1 over the pixels that count."""
    values = images.reshape(len(images), -1)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    values = values - (values * weight).sum(axis=1, keepdims=True) / total
    return values / np.sqrt((values**2 * weight).sum(axis=1, keepdims=True) / total + 1e-6)


def _halved(images: np.ndarray) -> np.ndarray:
    """Return images of half the side: they are compared faster, and a first guess need not be so close."""
    half = images.shape[1] // 2
    return images.reshape(-1, half, 2, half, 2).mean(axis=(2, 4))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6)
