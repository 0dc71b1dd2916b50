"""The sections of a run's results that an evaluation gives."""

from __future__ import annotations

import dataclasses
from typing import Any

from headstart.evaluation.metrics import Evaluation
from headstart.results.figures import ClassFigures, ConfusedPair, SplitFigures, SplitResults


def split_figures(evaluation: Evaluation) -> SplitFigures:
    """Return the figures of a whole split."""
    summary: dict[str, Any] = evaluation.summary()
    return SplitFigures(**summary)


def split_results(evaluation: Evaluation) -> SplitResults:
    """Return the figures of a whole split and of each class in it."""
    summary: dict[str, Any] = evaluation.summary()
    return SplitResults(
        **summary,
        most_confused=tuple(ConfusedPair(*pair) for pair in evaluation.most_confused),
        per_class=tuple(ClassFigures(**dataclasses.asdict(result)) for result in evaluation.per_class),
    )
