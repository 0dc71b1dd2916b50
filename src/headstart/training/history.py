"""The figures of each epoch, and the best epoch with its weights."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from headstart.results.figures import EpochFigures


@dataclass(frozen=True)
class EpochRecord(EpochFigures):
    """The figures of one epoch, ordered by how good its weights are."""

    @property
    def rank(self) -> tuple[float, float]:
        """Order epochs by validation accuracy, then by the lower validation loss; the best one is the largest."""
        return self.validation_accuracy, -self.validation_loss


@dataclass
class BestEpoch:
    """The best epoch by validation accuracy, ties broken by the lower validation loss, and its weights."""

    record: EpochRecord | None = None
    weights: list[np.ndarray] | None = None
    # Positions of the weights that the stage changes. Every stage starts from the kept weights, so the rest are equal.
    moving: list[int] | None = None

    def offer(self, record: EpochRecord, classifier: keras.Model) -> bool:
        """Copy the weights if this epoch is better than all before; return whether it is."""
        if self.record is not None and record.rank <= self.record.rank:
            return False
        self.record = record
        if self.weights is None or self.moving is None:
            self.weights = classifier.get_weights()
        else:
            variables = classifier.weights
            for position in self.moving:
                self.weights[position] = variables[position].numpy()
        return True

    def restore(self, classifier: keras.Model) -> None:
        """Put the best epoch's weights into the classifier."""
        classifier.set_weights(self.weights)
