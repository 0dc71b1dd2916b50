"""Learning curves of a comparison: the strategies that differ only in `dataset.fraction`, as points of one curve."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from headstart.comparison.naming import GROUPED_BY
from headstart.comparison.statistics import Interval, accuracy_interval
from headstart.comparison.strategies import Strategy
from headstart.config.keys import values_that_decide
from headstart.evaluation.learning_curve import LearningCurve, NoLearningCurve, describe, extrapolate

FRACTION = "dataset.fraction"


@dataclass(frozen=True, eq=False)
class Point:
    """One strategy with one share of the training images.

    Args:
        images: training images, the mean over the runs.
        accuracy: with its interval over the seeds, else over the images of one run.
        seeds: whose accuracies differ; 1 for a single run and for identical ones.
        tested: images that the accuracy of one run is measured on.
        spread: standard deviation over the seeds; None for one.
    """

    images: float
    accuracy: Interval
    seeds: int
    tested: int
    spread: float | None


@dataclass(frozen=True, eq=False)
class StrategyCurve:
    """The learning curve of one strategy.

    Args:
        label: the settings in which the strategy differs from the others; empty if there are no others.
        split: whose accuracy it is, `test` or `validation`.
        members: the strategies, one for each share of the training images.
        points: by ascending number of training images.
        law: what the points say of more images.
    """

    label: str
    split: str
    members: tuple[Strategy, ...]
    points: tuple[Point, ...]
    law: LearningCurve | NoLearningCurve

    def describe(self) -> str:
        """Return what more images would give, as a sentence."""
        parts = [describe(self.law)]
        if isinstance(self.law, LearningCurve):
            parts.append(describe(self.law, 4).replace("With", "with", 1))
        return f"{f'{self.label}: ' if self.label else ''}{'; '.join(parts)}."


def learning_curves(strategies: Sequence[Strategy]) -> list[StrategyCurve]:
    """Return the learning curve of each strategy that was run with several shares of the training images.

    Args:
        strategies: in the order of the table, which is kept by the first of each curve.
    """
    groups: dict[str, list[Strategy]] = defaultdict(list)
    for strategy in strategies:
        groups[_key(strategy)].append(strategy)
    several = [members for members in groups.values() if len({_fraction(one) for one in members}) > 1]
    curves = [_curve(members) for members in several]
    return [curve for curve in curves if curve is not None]


def _curve(members: Sequence[Strategy]) -> StrategyCurve | None:
    """Return the curve through the strategies of one group; None if fewer than two of them have an accuracy."""
    label = re.sub(rf"(^| ){re.escape(FRACTION)}=\S+", "", members[0].label).strip()
    split = "test" if all(strategy.tested for strategy in members) else "validation"
    found = [_point(strategy, split) for strategy in members]
    by_images = {point.images: point for point in found if point is not None}  # two small shares may be the same
    points = [by_images[images] for images in sorted(by_images)]
    if len(points) < 2:
        return None
    images, accuracies = np.array([[point.images, point.accuracy.mean] for point in points]).T
    law = extrapolate(images, accuracies, _standard_errors(points))
    return StrategyCurve(label, split, tuple(members), tuple(points), law)


def _point(strategy: Strategy, split: str) -> Point | None:
    """Return one strategy's point; None if its runs lack the accuracy or the number of training images."""
    images = strategy.training_images
    figures = [run.results.test if split == "test" else run.results.validation for run in strategy.runs]
    known = [one for one in figures if one is not None]
    if images is None or len(known) < len(figures):
        return None
    accuracies = [one.accuracy for one in known]
    tested = known[0].images
    accuracy = strategy.test_accuracy() if split == "test" else None
    if accuracy is None:
        right = round(sum(one.accuracy * one.images for one in known))
        accuracy = accuracy_interval(accuracies, right, sum(one.images for one in known))
    alike = np.ptp(accuracies) == 0
    spread = None if alike else float(np.std(accuracies, ddof=1))
    return Point(images, accuracy, 1 if alike else len(accuracies), tested, spread)


def _standard_errors(points: Sequence[Point]) -> np.ndarray:
    """Return the standard error of each point's accuracy, (points,).

    That is the binomial standard error of the test images, divided by the root of the seeds. Where seeds differ by more
    than that, it is scaled up, by one factor for all points: the spread of a few seeds is itself uncertain. It is never
    scaled down: seeds that agree on the same few test images do not know the accuracy on others.
    """
    shares = np.array([point.accuracy.mean * point.tested + 1 for point in points])
    tested = np.array([point.tested for point in points])
    shares = shares / (tested + 2)  # an accuracy of 100 % is not known exactly either
    binomial = shares * (1 - shares) / tested
    ratios = [
        point.spread**2 / variance for point, variance in zip(points, binomial, strict=True) if point.spread is not None
    ]
    scale = max(1.0, fmean(ratios)) if ratios else 1.0
    return np.sqrt(scale * binomial / np.array([point.seeds for point in points]))


def _fraction(strategy: Strategy) -> float:
    return strategy.config.dataset.fraction


def _key(strategy: Strategy) -> str:
    """Return what the points of one curve share; the test images, unless each fold has its own."""
    config = strategy.config
    values = values_that_decide(config, GROUPED_BY)
    shared = sorted((key, value) for key, value in values.items() if key != FRACTION)
    images = strategy.images if config.cv.folds is None else None
    return repr([shared, config.dataset.name, config.scenario.name, images])
