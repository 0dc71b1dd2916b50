"""The test images that only one of the best two strategies gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.comparison.collect import Predictions
from headstart.comparison.strategies import Strategy
from headstart.core.errors import HeadstartError
from headstart.data.files.images import load_image

IMAGES = 8  # per sheet
IMAGE_SIZE = 160  # pixels, the size that is shown


class Vote(NamedTuple):
    """The majority vote of a strategy's runs on one image."""

    label: str
    predicted: str  # by most runs
    confidence: float  # mean over the runs that predict it
    share_right: float  # of all runs


@dataclass(frozen=True, eq=False)
class Disagreement:
    """A test image that one strategy gets right and another one wrong."""

    path: str
    label: str
    first: tuple[str, float]  # the class that most runs of the first strategy predict, and their mean confidence
    second: tuple[str, float]  # the same for the second strategy


@dataclass(frozen=True, eq=False)
class Sheet:
    """Images that only one of two strategies gets right.

    Args:
        name: of its file.
        right: number of the strategy in the table that is right, from 1.
        wrong: number of the other one.
        total: how many such images there are.
        shown: the clearest of them.
        pixels: of those shown, uint8 (side, side, 3) each.
    """

    name: str
    right: int
    wrong: int
    total: int
    shown: tuple[Disagreement, ...]
    pixels: tuple[np.ndarray, ...]


def disagreement_sheets(strategies: Sequence[Strategy]) -> tuple[list[Sheet], str | None]:
    """Read the test images that only the best strategy gets right, and those that only the second one does.

    Args:
        strategies: in the order of the table.

    Returns:
        The sheets that have images; and the reason if there is none.
    """
    same = [(number, one) for number, one in enumerate(strategies, 1) if one.tested]
    same = [(number, one) for number, one in same if one.images == strategies[0].images]
    if len(same) < 2:
        return [], "Images that only one strategy gets right need two strategies with the same test images."
    (first_number, first), (second_number, second) = same[:2]
    dataset = first.runs[0].results.dataset
    root, values = (dataset.root, dataset.value_range) if dataset else (None, None)
    if root is None or not Path(root).is_dir():
        return [], f"The images are not on this machine ({root or 'an older run did not record their directory'})."
    sides = _disagreements(first, second)
    sheets: list[Sheet] = []
    for name, images, right, wrong in (
        ("only_the_best_is_right", sides[0], first_number, second_number),
        ("only_the_second_is_right", sides[1], second_number, first_number),
    ):
        shown = tuple(images[:IMAGES])
        try:
            pixels = tuple(
                load_image(Path(root) / one.path, IMAGE_SIZE, first.config.dataset.resize, value_range=values)
                for one in shown
            )
        except HeadstartError as error:
            return sheets, f"The images cannot be shown. {error}"
        if shown:
            sheets.append(Sheet(name, right, wrong, len(images), shown, pixels))
    return sheets, None if sheets else "The best two strategies get the same test images right."


def _disagreements(first: Strategy, second: Strategy) -> tuple[list[Disagreement], list[Disagreement]]:
    """Return the images that only the first strategy gets right, and those only the second does, clearest first."""
    votes = [_votes(strategy) for strategy in (first, second)]
    found: tuple[list[tuple[float, Disagreement]], list[tuple[float, Disagreement]]] = ([], [])
    for path in sorted(votes[0].keys() & votes[1].keys()):
        one, other = votes[0][path], votes[1][path]
        image = Disagreement(path, one.label, (one.predicted, one.confidence), (other.predicted, other.confidence))
        gap = one.share_right - other.share_right
        if one.predicted == one.label != other.predicted:
            found[0].append((gap, image))
        elif other.predicted == one.label != one.predicted:
            found[1].append((-gap, image))
    ordered = [[image for _, image in sorted(side, key=lambda pair: -pair[0])] for side in found]
    return ordered[0], ordered[1]


def _votes(strategy: Strategy) -> dict[str, Vote]:
    """Return the vote of a strategy's runs on each test image, by path."""
    by_path: dict[str, list[tuple[str, str, float]]] = {}
    for test in (run.test for run in strategy.runs if run.test is not None):
        for path, label, predicted, confidence in _images(test):
            by_path.setdefault(path, []).append((label, predicted, confidence))
    votes = {}
    for path, seen in by_path.items():
        classes = [one[1] for one in seen]
        winner = max(dict.fromkeys(classes), key=classes.count)
        confidence = float(np.mean([one[2] for one in seen if one[1] == winner]))
        label = seen[0][0]
        votes[path] = Vote(label, winner, confidence, classes.count(label) / len(seen))
    return votes


def _images(test: Predictions) -> zip[tuple[str, str, str, float]]:
    return zip(test.paths, test.labels, test.predicted, test.confidence.tolist(), strict=True)
