"""Examine the splits: the probabilities of every image, and how far it is from the training images, from one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.evaluation.familiarity import learn_familiarity, with_limit
from headstart.model.heads import class_probabilities
from headstart.results.unfamiliar import Unfamiliar

if TYPE_CHECKING:
    import numpy as np

    from headstart.classifier.familiarity import Familiarity
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor

EVALUATED = ("validation", "test")


@dataclass(frozen=True)
class ExaminedSplits:
    """What a saved classifier says of the images that it was not trained on."""

    probabilities: dict[str, np.ndarray]  # by split with images, float32 (n, classes)
    familiarity: Familiarity | None  # None without training or validation images
    unfamiliar: Unfamiliar | None  # likewise


def examine_splits(predictor: Predictor, index: ImageIndex) -> ExaminedSplits:
    """Learn what the training images look like to a classifier, and examine the validation and test images.

    Args:
        predictor: of the saved classifier.
        index: the images; splits without images are left out.
    """
    parts = {split: part for split in EVALUATED if len(part := index.split(split))}
    learned = learn_familiarity(predictor, index.split("train")) if "validation" in parts else None
    if learned is None:
        found = {split: predictor.probabilities(part, split) for split, part in parts.items()}
        return ExaminedSplits(found, None, None)
    probabilities, distances = {}, {}
    for split, part in parts.items():
        outputs, distances[split] = predictor.outputs_and(part, split, learned.distances)
        probabilities[split] = class_probabilities(outputs)
    familiarity, limit = with_limit(learned, distances["validation"])
    beyond = {split: int((found > familiarity.limit).sum()) for split, found in distances.items()}
    return ExaminedSplits(probabilities, familiarity, Unfamiliar(limit=limit, images=beyond))
