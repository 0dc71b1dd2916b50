"""The runs that can go into a soup: finished, of one architecture, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.classifier.saved import Classifier, load_classifier
from headstart.comparison.collect import Run
from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.results.figures import SplitResults
from headstart.results.sections import Dataset


@dataclass(frozen=True, eq=False)
class Candidate:
    """A finished run whose weights may go into the soup."""

    run: Run
    config: Config
    dataset: Dataset
    validation: SplitResults

    @property
    def architecture(self) -> dict[str, Any]:
        """What has to be the same in all runs of a soup, by its name for people."""
        head = self.config.head
        return {
            "backbone": self.config.backbone.name,
            "head.pooling": head.pooling,
            "head.units": head.units,
            "head.batch_norm": head.batch_norm,
            "head.output": head.output,
            "tta": self.config.tta,
            "image_size": self.dataset.image_size,
            "dataset.resize": self.config.dataset.resize,
            "classes": ", ".join(self.run.class_names),
            "fingerprint of images and splits": self.dataset.fingerprint[:16],
        }


def candidates_of(runs: Sequence[Run]) -> list[Candidate]:
    """Return the finished runs, the most accurate on validation first, ties by the lower loss.

    Args:
        runs: of a sweep, for example.

    Raises:
        HeadstartError: when fewer than two are finished, or they differ in what has to be the same.
    """
    found = [
        Candidate(run, run.config, run.results.dataset, run.results.validation)
        for run in runs
        if run.error is None and run.config and run.results.dataset and run.results.validation
    ]
    if len(found) < 2:
        raise HeadstartError(
            f"Expected at least two finished runs to average, with a validation split. Received: {len(found)} of "
            f"{len(runs)} runs",
            "a sweep over seeds makes some: headstart train -m seed=0,1,2,3",
        )
    first = found[0]
    for other in found[1:]:
        for name, value in other.architecture.items():
            if value != first.architecture[name]:
                raise HeadstartError(
                    f"Expected runs of one architecture on the same images, whose weights can be averaged. "
                    f"Received: {name} {first.architecture[name]} in {first.run.directory.name} and {value} in "
                    f"{other.run.directory.name}",
                    "name only runs that agree: headstart soup RUN RUN ...",
                )
    return sorted(found, key=lambda one: (-one.validation.accuracy, one.validation.log_loss))


def load_weights(candidates: Sequence[Candidate]) -> tuple[Classifier, list[list[np.ndarray]]]:
    """Return the classifier of the first candidate, and the weights of all in order.

    Weights that are those of the first candidate are the same arrays, so that frozen layers take memory once.

    Args:
        candidates: of one architecture.

    Raises:
        HeadstartError: when a classifier does not load, or has other weights than the first one.
    """
    classifier = load_classifier(candidates[0].run.directory)
    first = classifier.model.get_weights()
    weights = [first]
    for candidate in candidates[1:]:
        found = load_classifier(candidate.run.directory).model.get_weights()
        if [array.shape for array in found] != [array.shape for array in first]:
            raise HeadstartError(
                "Expected weights of the same shapes in every classifier. "
                f"Received: others in {candidate.run.directory}"
            )
        pairs = zip(first, found, strict=True)
        weights.append([mine if np.array_equal(mine, other) else other for mine, other in pairs])
    return classifier, weights


def changing_positions(weights: Sequence[Sequence[np.ndarray]]) -> list[int]:
    """Return the positions of the weights in which any candidate differs from the first one.

    Args:
        weights: as `load_weights` returns them.
    """
    first = weights[0]
    return [position for position in range(len(first)) if any(one[position] is not first[position] for one in weights)]
