"""Learn what training images look like to a classifier's head, and from the validation images how far is too far."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.classifier.familiarity import Familiarity, directions_of
from headstart.results.unfamiliar import UnfamiliarLimit

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor

# Training images at most: in all, or times the number of classes, whichever is more. Of digits, 500 of 1,079 training
# images found what all found, and 250 less; 500 take about 0.8 s of a run of a minute.
SAMPLE, PER_CLASS = 500, 10
MOST_BYTES = 10_000_000  # of what is kept of them, in float16
RANK = 0.99  # share of familiar images within the limit
# Another batch size, backend or processor moves no validation image across the limit.
SLACK, SMALLEST_LIMIT = 1.001, 1e-6


def sample_of(training: ImageIndex) -> ImageIndex:
    """Return the training images to compare with: all, or enough of them, evenly spaced in the order of the classes.

    Args:
        training: the training images.
    """
    wanted = min(len(training), max(SAMPLE, PER_CLASS * len(training.class_names)))
    by_class = np.argsort(training.labels, kind="stable")
    return training.take(np.sort(by_class[np.linspace(0, len(training) - 1, wanted).astype(int)]))


def learn_familiarity(predictor: Predictor, training: ImageIndex) -> Familiarity | None:
    """Return what the training images look like, with a limit of 1; None if there are none.

    Args:
        predictor: of the saved classifier.
        training: the training images.
    """
    if not len(training):
        return None
    _, directions = predictor.outputs_and(sample_of(training), "train", directions_of)
    kept = images_kept(len(directions), directions.shape[1])
    return Familiarity(directions[np.linspace(0, len(directions) - 1, kept).astype(int)].astype(np.float16))


def images_kept(images: int, features: int) -> int:
    """Return of how many images the features are saved.

    Args:
        images: number of images, at least 1.
        features: number of features that the head reads of each.
    """
    return min(images, max(MOST_BYTES // (features * np.dtype(np.float16).itemsize), 1))


def with_limit(familiarity: Familiarity, distances: np.ndarray) -> tuple[Familiarity, UnfamiliarLimit]:
    """Return the same with a limit that a share of RANK of all familiar images keep, and what it means.

    A new image of the same kind is beyond the k-th smallest of n distances with a probability of (n + 1 - k) / (n + 1),
    whatever their distribution (split conformal prediction). k is the smallest for which this is at most 1 - RANK, or n
    if there is none.

    Args:
        familiarity: with a limit of 1.
        distances: of the validation images, float (n,), n at least 1.
    """
    images = len(distances)
    rank = min(math.ceil((images + 1) * RANK), images)
    limit = max(float(np.sort(distances)[rank - 1]) * SLACK, SMALLEST_LIMIT)
    meaning = UnfamiliarLimit(
        validation_images=images,
        validation_share=RANK if rank < images else 1.0,
        expected_share=(images + 1 - rank) / (images + 1),
    )
    return replace(familiarity, limit=limit), meaning
