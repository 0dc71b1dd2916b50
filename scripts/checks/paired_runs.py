"""The paired test of two strategies on one data set: McNemar's, of the two runs of each seed on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from headstart.comparison.collect import Predictions, read_predictions
from headstart.evaluation.paired_test import SIGNIFICANT, mcnemar


@dataclass(frozen=True)
class PairedRuns:
    """Two runs on the same images."""

    difference: float  # accuracy of the second run less that of the first, -1 to 1
    p_value: float


def judged(directory: Path) -> Predictions:
    """Return the predictions that judge a run: for the test images, else for the validation images.

    Args:
        directory: of a finished run.

    Raises:
        ValueError: when it has neither.
    """
    for split in ("test", "validation"):
        if (found := read_predictions(directory / "predictions.csv", split)) is not None:
            return found
    raise ValueError(f"Expected predictions for test or validation images in {directory}. Received: none")


def pair_runs(first: Sequence[Path], second: Sequence[Path]) -> list[PairedRuns]:
    """Test two strategies against each other in every seed that both have, on the same images.

    Args:
        first: directories of the runs of one strategy, whose names end in the seed.
        second: the same of another one.

    Raises:
        ValueError: when two runs of one seed were judged by different images.
    """
    others = {_seed(directory): judged(directory) for directory in second}
    found = []
    for directory in first:
        if (other := others.get(_seed(directory))) is None:
            continue
        one = judged(directory)
        if one.paths != other.paths:
            raise ValueError(f"Expected the same images in both runs of a seed. Received: {directory} with others")
        difference = float(other.correct.mean() - one.correct.mean())
        found.append(PairedRuns(difference, mcnemar(one.correct, other.correct)))
    return found


def describe_pairs(pairs: Sequence[PairedRuns]) -> str:
    """Return the mean difference in points, and in how many seeds it is significant; the p-value of a single pair."""
    if not pairs:
        return "not measured"
    points = f"{100 * fmean(one.difference for one in pairs):+.1f}"
    if len(pairs) == 1:
        return f"{points} (p = {pairs[0].p_value:.2g})"
    significant = [one for one in pairs if one.p_value <= SIGNIFICANT]
    better = sum(one.difference > 0 for one in significant)
    return f"{points} (better {better}, worse {len(significant) - better} of {len(pairs)})"


def _seed(directory: Path) -> str:
    return directory.name.rpartition("_")[2]
