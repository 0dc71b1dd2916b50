"""Finds near-duplicates among thumbnails: copies that were resized, recompressed, mirrored, cropped or brightened.

Each thumbnail gets a perceptual hash. Hashes that share some of their bits are candidates, found without comparing
every image with every other. Candidates are laid over each other pixel by pixel, and a pair counts when its edges agree
far better than those of images that merely look alike in this data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.fft import dct

from headstart.core.console import track
from headstart.data.similarity.alignment import SIDE, aligned, edges, standardised, warped

BITS = 8  # the lowest frequencies in each direction; without the average that makes 63
TABLES = 16  # of the index, each over other bits of the hash
IN_BUCKET = 8  # images on average; decides how many bits a table looks at
FARTHEST = 12  # bits of 63 that may differ
MOST_CANDIDATES = 4  # of an image, the nearest hashes first
AT_ONCE = 4096  # thumbnails
PAIRS_AT_ONCE = 1 << 22  # hashes that are compared
ALIGNED_AT_ONCE = 512  # pairs
SAMPLE = 500  # images at most, else a quarter, whose neighbours say how alike different images are here
FEW = 60  # images; fewer do not say what is usual
FOR_FEW = 0.9  # the threshold for them
SPREADS = 9.0  # a pair is this many robust deviations above them
LEAST_SIMILAR, MOST_SIMILAR = 0.8, 0.995  # where the threshold lies for any data set


class Variant(NamedTuple):
    """How one image of a pair is changed before it is compared."""

    scale: float = 1.0  # of what is seen of it: 0.9 cuts a twentieth off each side
    across: int = 1  # -1 mirrors it
    down: int = 1  # -1 turns it upside down


VARIANTS = {
    "copy": Variant(),
    "mirrored": Variant(across=-1),
    "upside down": Variant(down=-1),
    "cropped": Variant(0.9),
    "mirrored and cropped": Variant(0.9, across=-1),
    "cropped closely": Variant(0.8),
}

Thumbnails = Callable[[np.ndarray], np.ndarray]  # positions (m,) -> uint8 (m, SIDE, SIDE)


@dataclass(frozen=True)
class Pair:
    """Two images that show the same."""

    first: int  # position of the earlier image
    second: int
    similarity: float  # of their edges when laid over each other, at most 1
    how: str  # what was done to one of them, one of VARIANTS


def find_near_duplicates(thumbnails: Thumbnails, positions: np.ndarray) -> list[Pair]:
    """Return the pairs of near-duplicates among images of different content, the most similar first.

    Args:
        thumbnails: gives grey thumbnails.
        positions: of the images to compare; of those with the same bytes only one.

    Source: perceptual hash by the signs of low frequencies, C. Zauner, "Implementation and benchmarking of perceptual
    image hash functions", 2010; search by bits drawn at random, P. Indyk, R. Motwani, "Approximate nearest neighbors",
    STOC 1998. Here each frequency is compared with its median over the data set, so that images which all look alike
    do not all have the same hash.
    """
    if len(positions) < 2:
        return []
    usual = usual_image(thumbnails, positions)
    threshold = similarity_threshold(thumbnails, positions, usual)
    bits = _all_bits(thumbnails, positions)
    names = list(VARIANTS)
    matrices = np.array(
        [[[one.scale * one.across, 0, 0], [0, one.scale * one.down, 0]] for one in VARIANTS.values()], np.float32
    )
    first, second, variant = _candidates(bits)
    best: dict[tuple[int, int], Pair] = {}
    parts = [
        np.arange(start, min(start + ALIGNED_AT_ONCE, len(first))) for start in range(0, len(first), ALIGNED_AT_ONCE)
    ]
    for part in track(parts, len(parts), "comparing what may be near-duplicates"):
        one, other = (standardised(thumbnails(positions[end[part]])) for end in (first, second))
        scores = aligned(one, other, matrices[variant[part]], usual, threshold)
        for place in np.flatnonzero(scores >= threshold):
            score, at = float(min(scores[place], 1.0)), part[place]
            ends = int(positions[first[at]]), int(positions[second[at]])
            key = min(ends), max(ends)
            if key not in best or score > best[key].similarity:
                best[key] = Pair(key[0], key[1], score, names[variant[at]])
    return sorted(best.values(), key=lambda pair: (-round(pair.similarity, 3), pair.first, pair.second))


def usual_image(thumbnails: Thumbnails, positions: np.ndarray) -> np.ndarray:
    """Return what the images of a data set have in common, such as the outline of a skull, float32 (SIDE, SIDE).

    Args:
        thumbnails: gives grey thumbnails.
        positions: of the images.
    """
    if len(positions) < FEW:
        return np.zeros((SIDE, SIDE), np.float32)
    parts = [positions[start : start + AT_ONCE] for start in range(0, len(positions), AT_ONCE)]
    return sum(standardised(thumbnails(part)).sum(axis=0) for part in parts) / len(positions)


def similarity_threshold(thumbnails: Thumbnails, positions: np.ndarray, usual: np.ndarray) -> float:
    """Return the similarity above which two images of this data set are taken for the same.

    It lies far above what the nearest neighbours in a sample reach: handwritten digits of 8 x 8 pixels all look alike,
    photographs do not. The sample is small, so that even where every image has copies, few neighbours are such.

    Args:
        thumbnails: gives grey thumbnails.
        positions: of the images.
        usual: float32 (SIDE, SIDE), what they have in common.
    """
    if len(positions) < FEW:
        return FOR_FEW
    size = int(np.clip(len(positions) // 4, FEW, SAMPLE))
    chosen = positions[np.random.default_rng(0).permutation(len(positions))[:size]]
    profile = edges(standardised(thumbnails(np.sort(chosen))) - usual)
    nearest = profile @ profile.T
    np.fill_diagonal(nearest, -1)
    scores = np.arctanh(np.clip(nearest.max(axis=1), -0.999, 0.999))
    centre = np.median(scores)
    spread = 1.4826 * np.median(np.abs(scores - centre))
    return float(np.clip(np.tanh(centre + SPREADS * spread), LEAST_SIMILAR, MOST_SIMILAR))


def _all_bits(thumbnails: Thumbnails, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each variant the hash of every image, bool (n, bits)."""
    parts = [positions[start : start + AT_ONCE] for start in range(0, len(positions), AT_ONCE)]
    medians = np.zeros(BITS**2 - 1, np.float32)
    if len(positions) >= FEW:
        medians = np.median(np.concatenate([_frequencies(standardised(thumbnails(part))) for part in parts]), axis=0)
    bits: dict[str, list[np.ndarray]] = {name: [] for name in VARIANTS}
    for part in track(parts, len(parts), "hashing thumbnails"):
        images = standardised(thumbnails(part))
        seen = {scale: _frequencies(_zoomed(images, scale)) for scale in {one.scale for one in VARIANTS.values()}}
        for name, variant in VARIANTS.items():
            # Mirroring turns the sign of the odd frequencies.
            signs = np.outer(float(variant.down) ** np.arange(BITS), float(variant.across) ** np.arange(BITS))
            bits[name].append(seen[variant.scale] * signs.reshape(-1)[1:] > medians)
    return {name: np.concatenate(found) for name, found in bits.items()}


def _zoomed(images: np.ndarray, scale: float) -> np.ndarray:
    """Return the centre of standardised images, standardised again."""
    if scale == 1:
        return images
    return standardised(warped(images, np.array([[[scale, 0, 0], [0, scale, 0]]], np.float32))[0])


def _frequencies(images: np.ndarray) -> np.ndarray:
    """Return the lowest frequencies of images, float32 (n, 63), without their average."""
    basis = dct(np.eye(SIDE, dtype=np.float32), axis=0, norm="ortho")[:BITS]
    return (basis @ images @ basis.T).reshape(len(images), -1)[:, 1:]


def _candidates(bits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of positions whose hashes are near, and which variant of the first one: a few pairs for each image.

    Args:
        bits: for each variant bool (n, bits).
    """
    known = bits["copy"]
    count, packed = len(known), _packed(known)
    width = int(np.clip(round(np.log2(count / IN_BUCKET)), 4, 24))
    powers = 1 << np.arange(width, dtype=np.int64)
    generator = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for _ in range(TABLES):
        chosen = generator.permutation(known.shape[1])[:width]
        keys = known[:, chosen] @ powers
        order = np.argsort(keys, kind="stable")
        for variant, queries in enumerate(bits.values()):
            wanted, asked = queries[:, chosen] @ powers, _packed(queries)
            start, end = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
            for some in _portions(end - start):
                sizes = (end - start)[some]
                first = np.repeat(some, sizes)
                offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
                second = order[np.repeat(start[some], sizes) + offsets]
                distance = np.bitwise_count(asked[first] ^ packed[second]).astype(np.int64)
                near = (distance <= FARTHEST) & (first < second if variant == 0 else first != second)
                found.append(((first[near] * 64 + distance[near]) * count + second[near]) * 8 + variant)
    pairs = np.unique(np.concatenate(found))  # in the order of the first image, the nearest ones of each first
    first = pairs // 8 // count // 64
    nearest = np.arange(len(pairs)) - np.searchsorted(first, first, "left") < MOST_CANDIDATES
    pairs = pairs[nearest]
    return first[nearest], pairs // 8 % count, pairs % 8


def _portions(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions of queries in portions that have a bounded number of partners together."""
    waiting = np.flatnonzero(sizes)
    portion = np.cumsum(sizes[waiting]) // PAIRS_AT_ONCE
    for number in np.unique(portion):
        yield waiting[portion == number]


def _packed(bits: np.ndarray) -> np.ndarray:
    """Return hashes as whole numbers, uint64 (n,)."""
    padded = np.zeros((len(bits), 64), bool)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1).view(np.uint64)[:, 0]


def clusters(pairs: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    """Return the number of the group of each image, int (count,); images that any chain of pairs joins share one.

    Args:
        pairs: positions of two images each.
        count: of images.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]
