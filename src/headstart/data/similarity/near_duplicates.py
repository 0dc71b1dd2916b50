"""Finds near-duplicates among thumbnails: copies that were resized, recompressed, mirrored, cropped or brightened.

Each thumbnail gets a perceptual hash. Images whose hashes share some bits are candidates, which avoids comparing every
image with every other. Candidates are aligned, and a pair counts as near-duplicates if its edges agree far better than
those of similar but different images of this dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from headstart.core.console import track
from headstart.data.similarity.alignment import SIDE, aligned_similarity, edges, standardised, warped

BITS = 8  # lowest frequencies in each direction; without the average they make 63 bits
TABLES = 16  # hash tables, each over other bits of the hash
BUCKET_SIZE = 8  # images on average; decides how many bits a table uses
MAX_DISTANCE = 12  # differing bits of 63
MAX_CANDIDATES = 4  # per image, the nearest hashes first
BATCH = 4096  # thumbnails
PAIRS_PER_BATCH = 1 << 22  # compared hashes
ALIGNMENTS_PER_BATCH = 512  # pairs
SAMPLE = 500  # images at most, else a quarter, from which the similarity of different images is estimated
MIN_SAMPLE = 60  # images; fewer give no estimate
SMALL_SAMPLE_THRESHOLD = 0.9  # for datasets with fewer images
SPREADS = 9.0  # robust deviations from the median similarity of neighbours to the threshold
MIN_THRESHOLD, MAX_THRESHOLD = 0.8, 0.995  # bounds of the threshold for any dataset


class Variant(NamedTuple):
    """A transformation of one image of a pair before comparison."""

    scale: float = 1.0  # of the visible part: 0.9 crops 5 % on each side
    across: int = 1  # -1 mirrors the image
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
    """Two near-duplicates."""

    first: int  # position of the earlier image
    second: int
    similarity: float  # of their edges after alignment, at most 1
    how: str  # transformation of one of them, a key of VARIANTS


def find_near_duplicates(thumbnails: Thumbnails, positions: np.ndarray) -> list[Pair]:
    """Return the pairs of near-duplicates among images of different content, the most similar first.

    Args:
        thumbnails: returns grey thumbnails.
        positions: of the images to compare, only one of each set of identical files.

    Source: perceptual hash by the signs of low frequencies, C. Zauner, "Implementation and benchmarking of perceptual
    image hash functions", 2010; search by bits drawn at random, P. Indyk, R. Motwani, "Approximate nearest neighbors",
    STOC 1998. Each frequency is compared with its median over the dataset, so that similar images get different hashes.
    """
    if len(positions) < 2:
        return []
    mean = mean_image(thumbnails, positions)
    threshold = similarity_threshold(thumbnails, positions, mean)
    bits = _all_bits(thumbnails, positions)
    names = list(VARIANTS)
    matrices = np.array(
        [[[each.scale * each.across, 0, 0], [0, each.scale * each.down, 0]] for each in VARIANTS.values()], np.float32
    )
    first, second, variant = _candidates(bits)
    best: dict[tuple[int, int], Pair] = {}
    parts = [
        np.arange(start, min(start + ALIGNMENTS_PER_BATCH, len(first)))
        for start in range(0, len(first), ALIGNMENTS_PER_BATCH)
    ]
    for part in track(parts, len(parts), "comparing possible near-duplicates"):
        first_images, second_images = (standardised(thumbnails(positions[end[part]])) for end in (first, second))
        scores = aligned_similarity(first_images, second_images, matrices[variant[part]], mean, threshold)
        for place in np.flatnonzero(scores >= threshold):
            score, at = float(min(scores[place], 1.0)), part[place]
            ends = int(positions[first[at]]), int(positions[second[at]])
            key = min(ends), max(ends)
            if key not in best or score > best[key].similarity:
                best[key] = Pair(key[0], key[1], score, names[variant[at]])
    return sorted(best.values(), key=lambda pair: (-round(pair.similarity, 3), pair.first, pair.second))


def mean_image(thumbnails: Thumbnails, positions: np.ndarray) -> np.ndarray:
    """Return the mean standardised image of a dataset, float32 (SIDE, SIDE); zeros for a small dataset.

    Args:
        thumbnails: returns grey thumbnails.
        positions: of the images.
    """
    if len(positions) < MIN_SAMPLE:
        return np.zeros((SIDE, SIDE), np.float32)
    parts = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
    return sum(standardised(thumbnails(part)).sum(axis=0) for part in parts) / len(positions)


def similarity_threshold(thumbnails: Thumbnails, positions: np.ndarray, mean: np.ndarray) -> float:
    """Return the similarity from which two images of this dataset count as near-duplicates.

    It is far above the similarity of nearest neighbours in a sample, which is high for handwritten digits of 8 x 8
    pixels and low for photographs. The sample is small, so that it contains few copies even if every image has some.

    Args:
        thumbnails: returns grey thumbnails.
        positions: of the images.
        mean: float32 (SIDE, SIDE), see `mean_image`.
    """
    if len(positions) < MIN_SAMPLE:
        return SMALL_SAMPLE_THRESHOLD
    size = int(np.clip(len(positions) // 4, MIN_SAMPLE, SAMPLE))
    chosen = positions[np.random.default_rng(0).permutation(len(positions))[:size]]
    profile = edges(standardised(thumbnails(np.sort(chosen))) - mean)
    nearest = profile @ profile.T
    np.fill_diagonal(nearest, -1)
    scores = np.arctanh(np.clip(nearest.max(axis=1), -0.999, 0.999))
    centre = np.median(scores)
    spread = 1.4826 * np.median(np.abs(scores - centre))
    return float(np.clip(np.tanh(centre + SPREADS * spread), MIN_THRESHOLD, MAX_THRESHOLD))


def _all_bits(thumbnails: Thumbnails, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each variant the hash of every image, bool (n, bits)."""
    parts = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
    medians = np.zeros(BITS**2 - 1, np.float32)
    if len(positions) >= MIN_SAMPLE:
        medians = np.median(np.concatenate([_frequencies(standardised(thumbnails(part))) for part in parts]), axis=0)
    bits: dict[str, list[np.ndarray]] = {name: [] for name in VARIANTS}
    for part in track(parts, len(parts), "hashing thumbnails"):
        images = standardised(thumbnails(part))
        seen = {scale: _frequencies(_zoomed(images, scale)) for scale in {each.scale for each in VARIANTS.values()}}
        for name, variant in VARIANTS.items():
            # Mirroring changes the sign of the odd frequencies.
            signs = np.outer(float(variant.down) ** np.arange(BITS), float(variant.across) ** np.arange(BITS))
            bits[name].append(seen[variant.scale] * signs.reshape(-1)[1:] > medians)
    return {name: np.concatenate(found) for name, found in bits.items()}


def _zoomed(images: np.ndarray, scale: float) -> np.ndarray:
    """Crop standardised images to their centre, and standardise them again."""
    if scale == 1:
        return images
    return standardised(warped(images, np.array([[[scale, 0, 0], [0, scale, 0]]], np.float32))[0])


def _frequencies(images: np.ndarray) -> np.ndarray:
    """Return the lowest frequencies of images, float32 (n, 63), without their average."""
    from scipy.fft import dct

    basis = dct(np.eye(SIDE, dtype=np.float32), axis=0, norm="ortho")[:BITS]
    return (basis @ images @ basis.T).reshape(len(images), -1)[:, 1:]


def _candidates(bits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a few pairs per image with similar hashes: both positions, and the variant of the first image.

    Args:
        bits: for each variant bool (n, bits).
    """
    known = bits["copy"]
    count, packed = len(known), _packed(known)
    width = int(np.clip(round(np.log2(count / BUCKET_SIZE)), 4, 24))
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
                near = (distance <= MAX_DISTANCE) & (first < second if variant == 0 else first != second)
                found.append(((first[near] * 64 + distance[near]) * count + second[near]) * 8 + variant)
    pairs = np.unique(np.concatenate(found))  # in the order of the first image, the nearest ones of each first
    first = pairs // 8 // count // 64
    nearest = np.arange(len(pairs)) - np.searchsorted(first, first, "left") < MAX_CANDIDATES
    pairs = pairs[nearest]
    return first[nearest], pairs // 8 % count, pairs % 8


def _portions(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions of queries in portions with a bounded total number of partners."""
    waiting = np.flatnonzero(sizes)
    portion = np.cumsum(sizes[waiting]) // PAIRS_PER_BATCH
    for number in np.unique(portion):
        yield waiting[portion == number]


def _packed(bits: np.ndarray) -> np.ndarray:
    """Return hashes as integers, uint64 (n,)."""
    padded = np.zeros((len(bits), 64), bool)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1).view(np.uint64)[:, 0]


def clusters(pairs: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    """Return the group number of each image, int (count,); a group is a connected component of the pairs.

    Args:
        pairs: positions of two images each.
        count: number of images.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]
