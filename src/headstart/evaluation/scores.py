"""The logits of whole splits, from which the probabilities at any temperature follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.metrics import Evaluation, evaluate
from headstart.model.heads import class_scores

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor

SCORED = ("validation", "test")


@dataclass(frozen=True, eq=False)
class Scores:
    """The logits of the images of one split."""

    logits: np.ndarray  # float64 (views, n, classes): of the images, and of their mirror images if there are two views
    labels: np.ndarray  # int (n,)
    class_names: tuple[str, ...]

    def probabilities(self, factor: float = 1.0) -> np.ndarray:
        """Return the probabilities, float64 (n, classes).

        Args:
            factor: on the logits, above 0; the inverse of a temperature.
        """
        from scipy.special import softmax

        return softmax(self.logits * factor, axis=2).mean(axis=0)

    def first_view(self) -> Scores:
        """Return the logits of the images as they are."""
        return Scores(self.logits[:1], self.labels, self.class_names)

    def evaluate(self, factor: float = 1.0) -> Evaluation:
        """Return the metrics of the probabilities at a factor on the logits."""
        return evaluate(self.labels, self.probabilities(factor), self.class_names)


def score_splits(predictor: Predictor, index: ImageIndex, flips: bool) -> dict[str, Scores]:
    """Return the logits of the validation and test splits, without splits that have no images.

    Args:
        predictor: of a network whose outputs are logits, see `Network.with_logits`.
        index: the images.
        flips: whether mirror images are a second view.
    """
    found = {}
    for split in SCORED:
        part = index.split(split)
        if len(part):
            views = [predictor.outputs(part, split)]
            views += [predictor.mirrored_outputs(part, split)] if flips else []
            logits = np.stack([class_scores(view) for view in views]).astype(np.float64)
            found[split] = Scores(logits, part.labels, part.class_names)
    return found
