"""The transfer-learning scenario of a run, and the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass, field

SCENARIO = "scenario.json"  # in the directory of a run with `scenario=auto`


@dataclass(frozen=True, kw_only=True)
class SplitPointProbe:
    """A linear probe on the features at one depth of the backbone."""

    split_point: str
    """Name of the layer."""
    depth: float
    """Share of the backbone's layers with weights up to this one, 0 to 1."""
    channels: int
    """Number of features for each image."""
    accuracy: float
    """Leave-one-out accuracy of the probe, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ImagenetPredictions:
    """ImageNet classes that the pretrained network predicts for the training images; for information only."""

    confidence: float
    """Mean probability of the likeliest ImageNet class, 0 to 1."""
    entropy: float
    """Mean entropy of the predictions as a share of the largest possible, 0 to 1."""
    labels: tuple[tuple[str, float], ...]
    """The most frequent predictions, each with its share of the images, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class ImagesPerClass:
    """How many training images the classes have."""

    median: float
    """Images of the typical class."""
    least: int
    """Images of the smallest class."""
    most: int
    """Images of the largest class."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A strategy that was tried on some of the training images."""

    strategy: str
    """Name of the strategy."""
    accuracy: float
    """On the validation images of the trials, 0 to 1."""
    seconds: float
    """Seconds that the trial took."""
    whole_seconds: float
    """Seconds that training with all images is expected to take."""


@dataclass(frozen=True, kw_only=True)
class NotTried:
    """A strategy that was not tried."""

    strategy: str
    """Name of the strategy."""
    reason: str
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class StrategyChoice:
    """The strategies that were tried, and the recommended one."""

    strategy: str
    """Name of the recommended strategy."""
    trials: tuple[Trial, ...]
    """The strategies that were tried, in this order."""
    not_tried: tuple[NotTried, ...]
    """The strategies that were not tried."""
    images: int
    """Training images of the trials."""
    validation_images: int
    """Validation images of the trials."""
    probe_images: tuple[int, ...]
    """Numbers of training images that the frozen probe of all depths was fitted on."""
    probe_accuracies: tuple[float, ...]
    """Its accuracies on the validation images, 0 to 1."""
    seconds: float
    """Seconds that measuring and trying took."""
    made: str
    """When, as `2026-11-28T00:12:00`, in local time."""

    @property
    def chosen(self) -> Trial:
        """The trial of the recommended strategy."""
        return next(trial for trial in self.trials if trial.strategy == self.strategy)


@dataclass(frozen=True, kw_only=True)
class ScenarioMeasurement:
    """The evidence of `scenario=auto`, measured on the training images."""

    given: tuple[str, ...]
    """Groups (`head`, `augmentation`, `freeze`, `optimizer`) that the command set, which no strategy changes."""
    why: tuple[str, ...]
    """The reasons for the cell, a sentence each."""
    images_per_class: ImagesPerClass
    """How many training images the classes have."""
    measured_images: int
    """Number of images that the probes were fitted on."""
    chance: float
    """Accuracy of always predicting the largest class, 0 to 1."""
    probes: tuple[SplitPointProbe, ...]
    """A probe for each depth, from the input to the top."""
    best: SplitPointProbe
    """The most accurate probe."""
    last: SplitPointProbe
    """The probe on the last layer before the head."""
    chance_of_gain: float | None
    """P-value of the best probe's lead over the last one, 0 to 1; null if the last one is the best."""
    imagenet: ImagenetPredictions | None
    """What ImageNet's classifier predicts; null if it is not available."""
    imagenet_missing: str
    """Why it is not available; empty if it is."""
    multi_depth_accuracy: float | None = None
    """Accuracy of the frozen probe of all depths on the validation images, 0 to 1; null in runs of earlier versions."""
    choice: StrategyChoice | None = None
    """The strategies that were tried; null in runs of earlier versions, whose scenario chose schedule and optimizer."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The transfer-learning scenario of the run."""

    name: str | None
    """Option of the group `scenario`, `auto` included; null if none was chosen."""
    cell: str | None
    """The scenario, measured or chosen: `small_similar`, `large_similar`, `small_different` or `large_different`."""
    strategy: str | None = None
    """The strategy that `scenario=auto` chose; absent without it, and in runs of earlier versions."""
    measured: ScenarioMeasurement | None = field(default=None, metadata={"inline": True})
    """The evidence of `scenario=auto`."""
