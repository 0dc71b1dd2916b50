"""The transfer-learning scenario of a run, and the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass, field


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
class ScenarioMeasurement:
    """The evidence of `scenario=auto`, measured on the training images."""

    given: tuple[str, ...]
    """Groups (`freeze`, `optimizer`) that the command set, which the scenario does not change."""
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
    """Accuracy of the frozen probe of all depths on the validation images, 0 to 1; null in runs of before it."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The transfer-learning scenario that the run trains for."""

    name: str | None
    """Option of the group `scenario`, `auto` included; null if none was chosen."""
    cell: str | None
    """The scenario, measured or chosen: `small_similar`, `large_similar`, `small_different` or `large_different`."""
    measured: ScenarioMeasurement | None = field(default=None, metadata={"inline": True})
    """The evidence of `scenario=auto`."""
