"""Significance tests on the test images: each strategy against the best one, and negative transfer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.comparison.statistics import CONFIDENCE, PairedDifference, holm, paired_bootstrap
from headstart.comparison.strategies import Strategy, flat_config, fold_of, seed_of
from headstart.config import HeadOnly
from headstart.evaluation.paired_test import mcnemar

BEST, TIE, WORSE, BETTER = "best", "tie", "worse", "better"
OTHER_IMAGES, NO_TEST = "other images", "no test images"


@dataclass(frozen=True)
class Significance:
    """The test of a strategy against the best one on the same test images.

    Args:
        outcome: best, tie, worse or better; or the reason why there is no test.
        difference: of the test accuracies, negative if below the best; None without a test.
        p_value: corrected for the number of comparisons; None without a test.
        method: of the test.
    """

    outcome: str
    difference: float | None = None
    p_value: float | None = None
    method: str = ""


@dataclass(frozen=True)
class NegativeTransfer:
    """A strategy with pretrained weights that is significantly worse than a strategy that it should at least match."""

    strategy: Strategy
    floor: Strategy
    floor_name: str  # for people
    p_value: float


def rank_strategies(strategies: Sequence[Strategy]) -> list[Strategy]:
    """Return the strategies, best validation accuracy first, grouped by test images.

    The test accuracy plays no part, so it stays unbiased.

    Args:
        strategies: in any order.
    """
    by_images: dict[str, list[Strategy]] = defaultdict(list)
    for strategy in sorted(strategies, key=_rank):
        by_images[strategy.images].append(strategy)
    return [strategy for group in sorted(by_images.values(), key=len, reverse=True) for strategy in group]


def compare_with_best(strategies: Sequence[Strategy]) -> list[Significance]:
    """Test each strategy against the best one, by validation, with the same test images.

    Args:
        strategies: as `rank_strategies` returns them.
    """
    best: dict[str, Strategy] = {}
    for strategy in strategies:
        best.setdefault(strategy.images, strategy)
    counts = {images: sum(strategy.images == images for strategy in strategies) for images in best}
    results: dict[int, Significance] = {}
    for position, strategy in enumerate(strategies):
        if not strategy.tested:
            results[position] = Significance(NO_TEST)
        elif strategy is best[strategy.images]:
            results[position] = Significance(BEST if counts[strategy.images] > 1 or len(best) == 1 else OTHER_IMAGES)
    rest = [position for position in range(len(strategies)) if position not in results]
    tests = compare_pairs([(best[strategies[position].images], strategies[position]) for position in rest])
    made = [test for test in tests if test]
    corrected = iter(holm([found.p_value for found, _ in made]))
    for position, test in zip(rest, tests, strict=True):
        if test is None:
            results[position] = Significance(OTHER_IMAGES)
        else:
            found, method = test
            p_value = next(corrected)
            results[position] = Significance(_outcome(found.difference, p_value), found.difference, p_value, method)
    return [results[position] for position in range(len(strategies))]


def compare_pairs(
    pairs: Sequence[tuple[Strategy, Strategy]],
) -> list[tuple[PairedDifference, str] | None]:
    """Return for each pair how much better the second strategy is on the common test images, and the test's name.

    One run each, or one seed of every fold, is tested by McNemar's exact test, several seeds by the bootstrap.

    Args:
        pairs: a reference and another strategy each.

    Returns:
        One result per pair; None for pairs without common test images.
    """
    results: list[tuple[PairedDifference, str] | None] = [None] * len(pairs)
    # Pairs with the same reference and folds share the draws of the bootstrap.
    together: dict[tuple[int, tuple[int, ...]], list[tuple[int, np.ndarray, np.ndarray]]] = defaultdict(list)
    for position, (reference, other) in enumerate(pairs):
        folds = tuple(sorted(set(reference.folds) & set(other.folds)))
        if reference.images != other.images or not folds:
            continue
        first, second = correct_by_seed(reference, folds), correct_by_seed(other, folds)
        if first is None or second is None:
            continue
        if len(first) == len(second) == 1:
            difference = float(second.mean() - first.mean())
            p_value = mcnemar(first[0], second[0])
            results[position] = PairedDifference(difference, np.nan, np.nan, p_value), "McNemar"
        else:
            together[id(reference), folds].append((position, first, second))
    for members in together.values():
        bootstrapped = paired_bootstrap(members[0][1], [second for _, _, second in members])
        for (position, _, _), found in zip(members, bootstrapped, strict=True):
            results[position] = found, "bootstrap"
    return results


def correct_by_seed(strategy: Strategy, folds: Sequence[int]) -> np.ndarray | None:
    """Return which predictions are right, bool (seeds, images), pooled over folds; None if no seed has all folds.

    Args:
        strategy: with test images.
        folds: to pool.
    """
    right = {(seed_of(run), fold_of(run)): run.test.correct for run in strategy.runs if run.test is not None}
    whole = [seed for seed in strategy.seeds if all((seed, fold) in right for fold in folds)]
    if not whole:
        return None
    return np.stack([np.concatenate([right[seed, fold] for fold in folds]) for seed in whole])


def find_negative_transfer(strategies: Sequence[Strategy]) -> list[NegativeTransfer]:
    """Return the cases in which pretrained weights lowered the accuracy significantly.

    Fine-tuning is tested against the best frozen probe with the same backbone and head, and both against the best
    training from random weights, on the same test images, with p-values corrected together.

    Args:
        strategies: as `rank_strategies` returns them.
    """
    tested = [strategy for strategy in strategies if strategy.tested]
    found: list[tuple[Strategy, Strategy, str]] = []
    for strategy in tested:
        if from_scratch(strategy):
            continue
        same = [other for other in tested if other.images == strategy.images]
        if not is_frozen_probe(strategy):
            probes = [other for other in same if is_frozen_probe(other) and _network(other) == _network(strategy)]
            found += [(strategy, probe, "the frozen probe") for probe in probes[:1]]
        found += [(strategy, other, "training from scratch") for other in same if from_scratch(other)][:1]
    tests = compare_pairs([(floor, strategy) for strategy, floor, _ in found])
    made = [(*pair, test[0]) for pair, test in zip(found, tests, strict=True) if test]
    corrected = holm([difference.p_value for *_, difference in made])
    return [
        NegativeTransfer(strategy, floor, floor_name, p_value)
        for (strategy, floor, floor_name, difference), p_value in zip(made, corrected, strict=True)
        if _outcome(difference.difference, p_value) == WORSE
    ]


def from_scratch(strategy: Strategy) -> bool:
    """Return whether a strategy starts from random weights."""
    return strategy.config.backbone.weights == "none"


def is_frozen_probe(strategy: Strategy) -> bool:
    """Return whether a strategy trains only the head, on a pretrained backbone."""
    stages = strategy.config.freeze.stages
    return not from_scratch(strategy) and all(isinstance(stage.train, HeadOnly) for stage in stages)


def _network(strategy: Strategy) -> dict[str, object]:
    flat = flat_config(strategy.config)
    return {key: value for key, value in flat.items() if key.startswith(("backbone.", "head."))}


def _outcome(difference: float, p_value: float) -> str:
    if p_value > 1 - CONFIDENCE or difference == 0:
        return TIE
    return BETTER if difference > 0 else WORSE


def _rank(strategy: Strategy) -> tuple[float, float]:
    accuracy, loss = strategy.validation_accuracy, strategy.validation_loss
    return 1.0 if accuracy is None else -accuracy, 0.0 if loss is None else loss
