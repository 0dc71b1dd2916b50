"""Which classes the strategies confuse, over all their runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.comparison.strategies import Strategy

MAX_CLASSES = 12  # more would be unreadable in a matrix that is half a figure wide


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion matrices of strategies on the same test images.

    Args:
        classes: their names, in the order of the outputs.
        images: test images of each class, (classes,), of all runs of the first strategy.
        positions: of the strategies in the table, from 0.
        percentages: one matrix for each strategy, (classes, classes), true by predicted class, in percent of the true
            class; NaN for a class without images.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    positions: tuple[int, ...]
    percentages: tuple[np.ndarray, ...]

    @property
    def recalls(self) -> np.ndarray:
        """Percent of each class's images that are right, (strategies, classes); NaN for a class without images."""
        return np.stack([np.diag(values) for values in self.percentages])

    def most_different(self, most: int) -> np.ndarray:
        """Return the positions of the classes with images whose recalls differ most, first those that differ most.

        Args:
            most: how many at most.
        """
        present = np.flatnonzero(self.images)
        spread = np.ptp(self.recalls[:, present], axis=0)
        return present[np.argsort(-spread, kind="stable")][:most]


def confusion_of(strategies: Sequence[Strategy], most: int, among: Sequence[int] | None = None) -> Confusion | None:
    """Return the confusion of the best strategies with the first one's test images; None without test images.

    Args:
        strategies: in the order of the table.
        most: how many of them at most.
        among: their positions; None: all.
    """
    considered = range(len(strategies)) if among is None else among
    same = [i for i in considered if strategies[i].tested and strategies[i].images == strategies[0].images][:most]
    if not same:
        return None
    names = strategies[same[0]].runs[0].class_names
    counts = [_counts(strategies[position], names) for position in same]
    percentages = []
    for one in counts:
        totals = one.sum(axis=1, keepdims=True)
        percentages.append(100 * np.divide(one, totals, out=np.full_like(one, np.nan), where=totals > 0))
    return Confusion(names, counts[0].sum(axis=1), tuple(same), tuple(percentages))


def _counts(strategy: Strategy, names: Sequence[str]) -> np.ndarray:
    """Return how many test images of each class get which label, over all runs, float (classes, classes)."""
    positions = {name: position for position, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)))
    for test in (run.test for run in strategy.runs):
        if test is not None:
            rows = [positions[name] for name in test.labels]
            np.add.at(counts, (rows, [positions[name] for name in test.predicted]), 1)
    return counts
