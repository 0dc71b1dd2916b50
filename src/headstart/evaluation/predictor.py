"""Predicts whole splits, reading the activations of frozen layers from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
from headstart.inference.backend import InferenceModel, forward
from headstart.model.flips import has_flips, without_flips
from headstart.model.head_input import suffix_with_head_input
from headstart.model.heads import class_probabilities
from headstart.model.network import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import keras

    from headstart.data.pixel_cache import Batches
    from headstart.model.backbones.spec import BackboneEntry


@dataclass
class Predictor:
    """Predicts whole splits with a classifier.

    Args:
        classifier: the saved one, or the one after a stage.
        batch_size: of the inference.
        activations: the run's activation cache.
        boundary: the split point whose activations come from the cache; None runs the whole network.
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
        return class_probabilities(self.outputs(index, name))

    def outputs(self, index: ImageIndex, name: str) -> np.ndarray:
        """Return the outputs of the network for every image of a split, float (n, outputs), in the index's order.

        A classifier with flips takes the images from the cache, and their mirror images through the whole network.

        Args:
            index: the images of the split.
            name: of the split, for the progress bar.
        """
        return self.outputs_and(index, name, lambda features: features[:, :0])[0]

    def outputs_and(
        self, index: ImageIndex, name: str, measure: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs as `outputs` does, and a measure of what the head reads of each image, from one pass.

        Args:
            index: the images of the split.
            name: of the split, for the progress bar.
            measure: from what the head reads, float (batch, features), to (batch, ...); with flips, of the image as it
                is.
        """
        activations = self._activations(index, name)
        given = self.activations.pixels.of(index, name) if activations is None else activations
        run = self.classifier.forward if activations is None or self._suffix is None else self._suffix
        order = list(evaluation_batches(index, self.batch_size))
        outputs, measured = [], []
        for batch in track(given.batches(iter(order)), len(order), f"evaluating the classifier: {name}"):
            values, features = run.outputs(batch)
            outputs.append(values)
            measured.append(measure(features))
        whole = np.concatenate(outputs)
        if activations is not None and has_flips(self.classifier.model):
            whole = (whole + self.mirrored_outputs(index, name)) / 2
        return whole, np.concatenate(measured)

    def _activations(self, index: ImageIndex, name: str) -> Batches | None:
        """Return the activations of a split at the boundary; None if the images go through the whole network."""
        if self.boundary is None or self.activations.objection(self.boundary, [index]):  # the cache has no room
            return None
        try:
            return self.activations.rows(self.boundary, index, name)
        except NotCachedError as error:
            console.print(f"  {error}: {name} goes through the whole network", markup=False)
            return None

    def for_changing(self, weights: Iterable[keras.Variable]) -> Predictor:
        """Return a predictor that follows changes of some weights: no activations that depend on them are cached.

        Args:
            weights: of the classifier, which has to be run by TensorFlow: OpenVINO keeps the weights that it converted.
        """
        changing = {id(weight) for weight in weights}
        if self.boundary is None or not any(id(weight) in changing for weight in self.boundary.prefix.weights):
            return self
        return Predictor(self.classifier, self.batch_size, self.activations)

    def mirrored_outputs(self, index: ImageIndex, name: str) -> np.ndarray:
        """Return the outputs of the network without flips for the mirror image of every image of a split.

        Args:
            index: the images of the split.
            name: of the split, for the progress bar.

        Returns:
            float (n, outputs), in the index's order.
        """
        order = list(evaluation_batches(index, self.batch_size))
        batches = self.activations.pixels.of(index, name).batches(iter(order))
        mirrored = track(batches, len(order), f"evaluating mirror images: {name}")
        return np.concatenate([self._plain(np.ascontiguousarray(pixels[:, :, ::-1])) for pixels in mirrored])

    @cached_property
    def _suffix(self) -> InferenceModel | None:
        """The part after the boundary, compiled once; TensorFlow follows later changes of its weights."""
        if self.boundary is None:
            return None
        head = without_flips(self.classifier.model).get_layer("head")
        return forward(suffix_with_head_input(self.boundary.suffix, head), self.classifier.inference_backend)

    @cached_property
    def _plain(self) -> InferenceModel:
        """The network without flips, compiled once."""
        model = self.classifier.model
        backend = self.classifier.inference_backend
        return forward(without_flips(model), backend) if has_flips(model) else self.classifier.forward


def make_predictor(
    classifier: Classifier,
    entry: BackboneEntry,
    train: TrainTarget,
    batch_size: int,
    activations: ActivationCache,
    cached: bool,
) -> Predictor:
    """Return the predictor of a classifier, split at the split point of its last stage.

    The layers before it have the weights of training, so their activations are found in the cache by content; those
    of the validation images are there already. Activations in half precision are used for training only: metrics
    describe the saved classifier.

    Args:
        classifier: the saved one, or the one after a stage.
        entry: of its backbone.
        train: what its last stage trained.
        batch_size: of the inference.
        activations: the run's activation cache.
        cached: whether the run caches activations.
    """
    whole = cached and activations.dtype == "float32"
    boundary = frozen_boundary(parts_of(classifier.model, entry), train) if whole else None
    return Predictor(classifier, batch_size, activations, boundary)
