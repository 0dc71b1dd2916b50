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

    logits: np.ndarray  # float64 (n, classes)
    labels: np.ndarray  # int (n,)
    class_names: tuple[str, ...]

    def probabilities(self, factor: float = 1.0) -> np.ndarray:
        """Return the probabilities, float64 (n, classes).

        Args:
            factor: on the logits, above 0; the inverse of a temperature.
        """
        from scipy.special import softmax

        return softmax(self.logits * factor, axis=1)

    def evaluate(self, factor: float = 1.0) -> Evaluation:
        """Return the metrics of the probabilities at a factor on the logits."""
        return evaluate(self.labels, self.probabilities(factor), self.class_names)


def score_splits(predictor: Predictor, index: ImageIndex) -> dict[str, Scores]:
    """Return the logits of the validation and test splits, without splits that have no images.

    Args:
        predictor: of a network whose outputs are logits, see `Network.with_logits`.
        index: the images.
    """
    found = {}
    for split in SCORED:
        part = index.split(split)
        if len(part):
            logits = class_scores(predictor.outputs(part, f"{split} before refining")).astype(np.float64)
            found[split] = Scores(logits, part.labels, part.class_names)
    return found
