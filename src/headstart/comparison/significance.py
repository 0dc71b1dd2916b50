"""What the test images say: each strategy against the best by validation, and where transfer did harm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.comparison.statistics import CONFIDENCE, PairedDifference, holm, mcnemar, paired_bootstrap
from headstart.comparison.strategies import Strategy, flat_config, fold_of, seed_of

BEST, TIE, WORSE, BETTER = "best", "tie", "worse", "better"
OTHER_IMAGES, NO_TEST = "other images", "no test images"


@dataclass(frozen=True)
class Significance:
    """How a strategy compares with the best one on its test images.

    Args:
        word: best, tie, worse, better, or why there is no comparison.
        difference: of the test accuracies, negative where it is below the best; None without a comparison.
        p_value: corrected for the number of comparisons.
        method: of the test.
    """

    word: str
    difference: float | None = None
    p_value: float | None = None
    method: str = ""


@dataclass(frozen=True)
class NegativeTransfer:
    """A strategy that starts from pretrained weights and ends below what should be its floor."""

    strategy: Strategy
    floor: Strategy
    what: str  # the floor, in words
    p_value: float


def ranked(strategies: Sequence[Strategy]) -> list[Strategy]:
    """Return the strategies, best first by validation, those on the same test images together.

    Args:
        strategies: in any order. The test images choose nothing, so that their figures stay honest.
    """
    by_images: dict[str, list[Strategy]] = defaultdict(list)
    for strategy in sorted(strategies, key=_rank):
        by_images[strategy.images].append(strategy)
    return [strategy for group in sorted(by_images.values(), key=len, reverse=True) for strategy in group]


def significances(strategies: Sequence[Strategy]) -> list[Significance]:
    """Return the verdict on each strategy: against the best by validation of those on the same test images.

    Args:
        strategies: as `ranked` returns them.
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
            results[position] = Significance(_word(found.difference, p_value), found.difference, p_value, method)
    return [results[position] for position in range(len(strategies))]


def compare_pairs(
    pairs: Sequence[tuple[Strategy, Strategy]],
) -> list[tuple[PairedDifference, str] | None]:
    """Return for each pair how much better the second is on the images that both were tested on, and the test's name.

    One run each (or one seed of every fold) is tested exactly by McNemar, several seeds by the bootstrap.

    Args:
        pairs: a reference and another strategy each; None comes back for those without common images.
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
    """Return which predictions are right, bool (seeds, images), pooled over folds; None where no seed has them all.

    Args:
        strategy: one with test images.
        folds: whose test images are meant.
    """
    right = {(seed_of(run), fold_of(run)): run.test.correct for run in strategy.runs if run.test is not None}
    whole = [seed for seed in strategy.seeds if all((seed, fold) in right for fold in folds)]
    if not whole:
        return None
    return np.stack([np.concatenate([right[seed, fold] for fold in folds]) for seed in whole])


def negative_transfer(strategies: Sequence[Strategy]) -> list[NegativeTransfer]:
    """Return where pretrained weights did harm, as far as the paired test supports it.

    Fine-tuning is compared with the best frozen probe of the same backbone and head, both of them with the best
    training from random weights; all on the same test images, all corrected together.

    Args:
        strategies: as `ranked` returns them.
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
        NegativeTransfer(strategy, floor, what, p_value)
        for (strategy, floor, what, difference), p_value in zip(made, corrected, strict=True)
        if _word(difference.difference, p_value) == WORSE
    ]


def from_scratch(strategy: Strategy) -> bool:
    """Tell whether a strategy starts from random weights."""
    return strategy.config.backbone.weights == "none"


def is_frozen_probe(strategy: Strategy) -> bool:
    """Tell whether a strategy trains the head alone, on pretrained weights."""
    return not from_scratch(strategy) and all(stage.train == "head" for stage in strategy.config.freeze.stages)


def _network(strategy: Strategy) -> dict[str, object]:
    flat = flat_config(strategy.config)
    return {key: value for key, value in flat.items() if key.startswith(("backbone.", "head."))}


def _word(difference: float, p_value: float) -> str:
    if p_value > 1 - CONFIDENCE or difference == 0:
        return TIE
    return BETTER if difference > 0 else WORSE


def _rank(strategy: Strategy) -> tuple[float, float]:
    accuracy, loss = strategy.validation_accuracy, strategy.validation_loss
    return 1.0 if accuracy is None else -accuracy, 0.0 if loss is None else loss
