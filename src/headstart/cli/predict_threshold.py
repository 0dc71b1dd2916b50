"""`headstart predict --threshold`: another threshold between two classes than 0.5."""

from __future__ import annotations

import argparse

from headstart.classifier.saved import Classifier
from headstart.core.errors import HeadstartError

ADVISED = "advised"  # the one that the validation images advise, which the classifier stores


def threshold_option(text: str) -> float | str:
    """Return the value of `--threshold`: a number over 0 and below 1, or `advised`.

    Args:
        text: of the command line.
    """
    if text == ADVISED:
        return text
    try:
        threshold = float(text)
    except ValueError:
        threshold = 0.0
    if not 0 < threshold < 1:
        raise argparse.ArgumentTypeError(f"expected a number over 0 and below 1, or {ADVISED}, not {text}")
    return threshold


def find_threshold(classifier: Classifier, asked: float | str | None) -> tuple[float | None, str]:
    """Return the threshold between two classes, and what it does in words; None for the likelier class.

    Args:
        classifier: of two classes, unless nothing is asked for.
        asked: the value of `--threshold`.

    Raises:
        HeadstartError: when the classifier has more than two classes, or no advised threshold.
    """
    if asked is None:
        return None, ""
    names = classifier.class_names
    if len(names) != 2:
        raise HeadstartError(
            f"Expected a classifier of two classes for --threshold. Received: {len(names):,} classes; leave it out, "
            "and each image gets its likeliest class"
        )
    threshold = classifier.threshold if asked == ADVISED else float(asked)
    if threshold is None:
        raise HeadstartError(
            f"Expected a classifier with an advised threshold for --threshold {ADVISED}. Received: one that stores "
            "none, because an earlier version of headstart saved it; give a number, such as --threshold 0.5"
        )
    first, second = names
    return threshold, f"threshold {threshold:.4g}: {second} if its probability is above, otherwise {first}"
