"""What a saved classifier says about itself: the run that made it, its data, its accuracy, what is unfamiliar to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.config import Config
from headstart.config.identity import data_name
from headstart.results.figures import SplitFigures
from headstart.results.runs import name_of_run
from headstart.results.types import RunResults
from headstart.results.unfamiliar import UnfamiliarLimit


@dataclass(frozen=True, kw_only=True)
class MeasuredAccuracy:
    """The accuracy of a classifier on one split of the images of its run."""

    split: str
    """`test`, or `validation` in a run without a test split."""
    images: int
    """Number of images in the split."""
    accuracy: float
    """Share of the images labelled right, 0 to 1."""
    accuracy_low: float
    """Lower end of the 95 % interval of the accuracy (Wilson), 0 to 1."""
    accuracy_high: float
    """Upper end of the 95 % interval of the accuracy (Wilson), 0 to 1."""

    def describe(self) -> str:
        """Return the accuracy with its interval and the number of images, in words."""
        interval = f"{100 * self.accuracy_low:.1f} to {100 * self.accuracy_high:.1f}"
        return f"{self.split} accuracy {100 * self.accuracy:.1f} % ({interval}) on {self.images:,} images"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The run that made a classifier, its data and its accuracy."""

    run: str
    """Name of the run, as in MLflow; that of a soup says so."""
    run_id: str | None = None
    """MLflow id of the run; absent if it was not tracked, and of a soup."""
    dataset: str
    """Name of the data: option of the group `dataset`, or the directory or table of one's own images."""
    training_images: int
    """Number of training images."""
    measured: MeasuredAccuracy | None = None
    """The accuracy; absent if none was measured."""
    unfamiliar: UnfamiliarLimit | None = None
    """The limit of what is unfamiliar; absent if distances are not measured."""


def measured_accuracy(splits: Mapping[str, SplitFigures]) -> MeasuredAccuracy | None:
    """Return the accuracy on the test images, else on the validation images; None if there are neither.

    Args:
        splits: figures by split.
    """
    for split in ("test", "validation"):
        if split in splits:
            found = splits[split]
            return MeasuredAccuracy(
                split=split,
                images=found.images,
                accuracy=found.accuracy,
                accuracy_low=found.accuracy_low,
                accuracy_high=found.accuracy_high,
            )
    return None


def model_card(results: RunResults, config: Config) -> ModelCard:
    """Return the card of a run's classifier.

    Args:
        results: of the run, as far as it got.
        config: its resolved configuration.
    """
    return ModelCard(
        run=name_of_run(results, config),
        run_id=results.run_id,
        dataset=data_name(config),
        training_images=results.dataset.images.get("train", 0) if results.dataset else 0,
        measured=measured_accuracy(results.splits or {}),
        unfamiliar=results.unfamiliar.limit if results.unfamiliar else None,
    )
