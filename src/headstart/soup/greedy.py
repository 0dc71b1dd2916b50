"""The greedy soup: add the weights of one run after the other to the average, as long as it does not get worse.

Source: M. Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time, ICML 2022, arXiv 2203.05482, recipe 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Weights = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class GreedySoup:
    """The average of the chosen candidates."""

    weights: Weights
    chosen: tuple[bool, ...]  # by candidate
    accuracies: tuple[float, ...]  # of the average with each candidate, when it was tried


def greedy_soup(
    candidates: Sequence[Weights], positions: Sequence[int], accuracy: Callable[[Weights], float]
) -> GreedySoup:
    """Average weights greedily.

    Args:
        candidates: weights of each candidate, the best one first.
        positions: of the weights that differ between candidates.
        accuracy: returns the validation accuracy of a network with such weights.
    """
    best = accuracy(candidates[0])
    chosen, accuracies = [True], [best]
    sums = {position: candidates[0][position].astype(np.float64) for position in positions}
    for candidate in candidates[1:]:
        tried = {position: total + candidate[position] for position, total in sums.items()}
        found = accuracy(_average(candidates[0], tried, sum(chosen) + 1))
        accuracies.append(found)
        chosen.append(found >= best)
        if chosen[-1]:
            best, sums = found, tried
    return GreedySoup(_average(candidates[0], sums, sum(chosen)), tuple(chosen), tuple(accuracies))


def _average(first: Weights, sums: dict[int, np.ndarray], count: int) -> Weights:
    """Return weights whose sums are divided by the number of candidates; the others are those of the first one."""
    return [
        (sums[position] / count).astype(weight.dtype) if position in sums else weight
        for position, weight in enumerate(first)
    ]
