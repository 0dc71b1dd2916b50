"""The probabilities of whole splits, without computing again what is frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.cache.segments import NotCachedError
from headstart.classifier.saved import Classifier
from headstart.config import TrainTarget
from headstart.core.console import console, track
from headstart.data.batch_order import evaluation_batches
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import ActivationCache
from headstart.features.boundary import Boundary, frozen_boundary
from headstart.inference.backend import forward
from headstart.model.heads import class_probabilities
from headstart.model.network import parts_of

if TYPE_CHECKING:
    from headstart.data.pixel_cache import Batches
    from headstart.model.backbones.spec import BackboneEntry


@dataclass
class Predictor:
    """A classifier that goes through whole splits.

    Args:
        classifier: as it was saved, or as a stage left it.
        batch_size: how many images go through the network at once.
        activations: of the run.
        boundary: where the classifier is cut, so that what lies before comes from the cache; None runs it as a whole.
    """

    classifier: Classifier
    batch_size: int
    activations: ActivationCache
    boundary: Boundary | None = None

    def probabilities(self, index: ImageIndex, name: str) -> np.ndarray:
        """Return the probabilities of every image of a split, float32 (n, classes), in the index's order.

        Args:
            index: the images of the split.
            name: of the split, for the progress bar.
        """
        boundary = self.boundary
        if boundary is not None and self.activations.objection(boundary, [index]):
            boundary = None  # there is no room for what this split would add
        order = list(evaluation_batches(index, self.batch_size))
        given: Batches | None = None
        if boundary is not None:
            try:
                given = self.activations.rows(boundary, index, name)
            except NotCachedError as error:
                console.print(f"  {error}: {name} goes through the whole network", markup=False, soft_wrap=True)
                boundary = None
        if given is None:
            given = self.activations.pixels.of(index, name)
        suffix = forward(boundary.suffix, self.classifier.engine) if boundary else None
        rows = []
        for values in track(given.batches(iter(order)), len(order), f"evaluating the classifier: {name}"):
            rows.append(class_probabilities(suffix(values)) if suffix else self.classifier.probabilities(values))
        return np.concatenate(rows)


def make_predictor(
    classifier: Classifier,
    entry: BackboneEntry,
    train: TrainTarget,
    batch_size: int,
    activations: ActivationCache,
    cached: bool,
) -> Predictor:
    """Return the predictor of a classifier, cut where its last stage was.

    The cut is made in the classifier itself. What lies before has the weights that training's had, and so the same
    activations by content: those of the validation images are there already, of each image they are computed once.
    Activations that were rounded to half precision are for training alone: figures are about what was saved.

    Args:
        classifier: as it was saved, or as a stage left it.
        entry: of its backbone.
        train: what its last stage trained.
        batch_size: how many images go through the network at once.
        activations: of the run.
        cached: whether activations are kept at all.
    """
    whole = cached and activations.dtype == "float32"
    boundary = frozen_boundary(parts_of(classifier.model, entry), train) if whole else None
    return Predictor(classifier, batch_size, activations, boundary)
