"""The paired test of two classifiers on the same images."""

from __future__ import annotations

import numpy as np

from headstart.results.refinements import PairedTest

SIGNIFICANT = 0.05  # p-values above it are no evidence of a difference


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the exact two-sided p-value of McNemar's test: two classifiers are right equally often on these images.

    Only images that exactly one classifier gets right count. If both are equally good, each of them is a fair coin
    toss. Source: Q. McNemar, Psychometrika 12 (1947); exact, without the chi-squared approximation.

    Args:
        first: bool (images,), which images the first classifier gets right.
        second: the same for the second classifier.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_test(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> PairedTest:
    """Return how much more accurate the second of two classifiers is, with McNemar's p-value.

    Args:
        labels: int (images,), from 0.
        before: probabilities of the first classifier, float (images, classes).
        after: the same of the second one.
    """
    first, second = before.argmax(axis=1) == labels, after.argmax(axis=1) == labels
    return PairedTest(
        accuracy_before=float(first.mean()), accuracy_after=float(second.mean()), p_value=mcnemar(first, second)
    )


def describe_gain(tests: dict[str, PairedTest], without: str) -> str:
    """Return what a refinement gains as a phrase for people, which says so if it does not help.

    Args:
        tests: by split, `validation` among them.
        without: the override that leaves the refinement out.
    """
    phrases = [
        f"{split} accuracy from {100 * test.accuracy_before:.1f} to {100 * test.accuracy_after:.1f} % "
        f"(p = {test.p_value:.2g})"
        for split, test in tests.items()
    ]
    chosen = tests["validation"]
    if chosen.accuracy_after <= chosen.accuracy_before:
        phrases.append(f"it does not help on validation, {without} leaves it out")
    elif chosen.p_value > SIGNIFICANT:
        phrases.append("the gain on validation may be chance")
    return "; ".join(phrases)
