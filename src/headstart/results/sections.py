"""The sections of a run's results, except the figures of its classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PHASES = ("start_up", "data", "scenario", "model", "training", "saving", "evaluation", "tracking")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The published recipe that the run follows."""

    name: str | None
    """Name of the recipe; null if the run follows none."""
    published: str | None
    """Published result of the recipe, in words."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The images that the run used."""

    name: str
    """Option of the group `dataset`."""
    root: str | None
    """Directory of the images."""
    fingerprint: str
    """Digest of the images' content, labels and splits (SHA-256): equal fingerprints are the same data."""
    images: dict[str, int]
    """Number of images by split: `train`, `validation` and `test`."""
    classes: int
    """Number of classes that the classifier distinguishes."""
    image_size: int
    """Side of the classifier's input in pixels."""
    value_range: tuple[float, float] | None = None
    """Values of black and white, 0 to 65535; absent if all files have 8 bits per channel."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, machine and hardware settings, which the figures also depend on."""

    commit: str | None
    """Commit of headstart's code, with a digest of later changes; null outside a git clone."""
    python: str
    """Version of Python."""
    platform: str
    """Operating system and its version."""
    processors: int | None
    """Number of CPU cores that the process could use."""
    visible_gpus: str | None
    """Value of CUDA_VISIBLE_DEVICES; null if it was not set, so that all GPUs were visible."""
    gpus: tuple[str, ...]
    """Names of the GPUs that the run used."""
    precision: str
    """Keras dtype policy, such as `float32` or `mixed_float16`."""
    inference_backend: str
    """Backend that ran inference: `tensorflow` or `openvino`."""
    packages: dict[str, str]
    """Versions of the packages that the figures depend on."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The numbers of parameters of the classifier."""

    total: int
    """Parameters of the whole classifier, backbone included."""
    trainable: int
    """Parameters that the last stage trained; 0 if nothing was trained."""
    trainable_by_stage: dict[str, int] | None = None
    """Parameters that each stage trained."""


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Durations in seconds; the phases add up to the total, which counts from the start of the process."""

    total: float
    """Seconds from the start of the process to the end of the run."""
    start_up: float | None = None
    """Importing TensorFlow and MLflow."""
    data: float | None = None
    """Finding and checking the images."""
    scenario: float | None = None
    """Measuring the scenario (`scenario=auto`)."""
    model: float | None = None
    """Building the network and loading its weights."""
    training: float | None = None
    """Training all stages, or finding the learning rate."""
    saving: float | None = None
    """Saving the classifier and loading it back."""
    evaluation: float | None = None
    """Evaluating the saved classifier."""
    tracking: float | None = None
    """Opening the run in the tracking store and logging to it."""
    first_step: float | None = None
    """Seconds from the start of the process to the end of the first training step; no phase."""
    stages: dict[str, float] = field(default_factory=dict, metadata={"prefix": "stage_"})
    """Seconds of each stage within `training`, in the file as `stage_NAME`; no phases."""

    def phases(self) -> dict[str, float]:
        """Return the seconds of each phase that the run reached."""
        return {name: seconds for name in PHASES if (seconds := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class CacheUse:
    """How the run used the cache."""

    images_computed: int
    """Images (or augmented views of them) that went through a frozen part of the network."""
    images_reused: int
    """Images whose activations were cache hits."""
    images_decoded: int
    """Images that were read and decoded."""
    bytes_estimated: int
    """Bytes that the cached values were expected to take on disk."""
    bytes_written: int
    """Bytes that the run added to the cache."""


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """Bytes that the run was expected to write, the cache not included."""

    checkpoint: int
    """Size of the largest checkpoint in bytes; 0 if nothing is trained."""
    classifier: int
    """Size of the saved classifier in bytes."""
    tables: int
    """Size of tables and figures in bytes, with their copies in the tracking store."""
    bytes_estimated: int
    """Free bytes that the run needed, at most, on all disks together."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What became of `tracking.register`."""

    name: str
    """Name of the registered model."""
    version: int
    """Version of the run's classifier."""
    champion: bool
    """Whether the alias `champion` is that version's."""
    reason: str
    """Why it is, or why it is not."""


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """What the tracking store has received, has not received or has refused."""

    waiting: int
    """Number of entries that have not been sent yet; `headstart sync` sends them."""
    refused: tuple[str, ...] | None = None
    """Why the store refused entries, a sentence for each."""
    model_id: str | None = None
    """Id of the classifier in MLflow, as in `models:/MODEL_ID`; absent before the store has it."""
    registration: Registration | None = None
    """The classifier in the model registry; absent without `tracking.register`."""


@dataclass(frozen=True, kw_only=True)
class OriginalFigures:
    """Figures of a split of the run that was reproduced."""

    accuracy: float | None
    """Share of the images labelled right, 0 to 1."""
    macro_f1: float | None
    """Mean F1 over the classes, 0 to 1."""
    log_loss: float | None
    """Mean cross-entropy over the images (natural logarithm, 0 or more)."""


@dataclass(frozen=True, kw_only=True)
class FigureChange:
    """A figure in both runs."""

    figure: str
    """Dotted key of the figure."""
    then: float
    """Its value in the run that was reproduced."""
    now: float | None
    """Its value in this run; null if this run does not have it."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The comparison with the run that `reproduce` names."""

    run_id: str | None
    """MLflow id of the run that was reproduced."""
    verdict: str
    """`identical` (bit-identical), `agrees` (within 0.001) or `differs`."""
    figures: int
    """Number of figures that were compared."""
    differing_figures: int
    """Number of figures that are not bit-identical."""
    largest_difference: FigureChange
    """The figure that differs most."""
    changed: tuple[str, ...]
    """Changes of commit, versions and machine, a phrase each."""
    then: dict[str, OriginalFigures]
    """The main figures of the run that was reproduced, by split."""


@dataclass(frozen=True, kw_only=True)
class LearningRateSuggestion:
    """What `find_lr=true` found."""

    stage: str
    """Stage whose learning rate was varied."""
    configured_learning_rate: float
    """Configured learning rate."""
    suggested_learning_rate: float | None
    """Learning rate to train with, to two digits; null if the loss suggests none."""
    suggestion_reason: str
    """Where it lies on the loss curve, or why there is none."""


def seconds_of(clock: Mapping[str, float], first_step: float | None, stages: Mapping[str, float]) -> Seconds:
    """Return the section `seconds`.

    Args:
        clock: seconds of each phase and in all, see `Clock.summary`.
        first_step: seconds from the start of the process to the end of the first training step.
        stages: seconds of each stage.
    """
    phases: dict[str, Any] = dict(clock)
    return Seconds(**phases, first_step=first_step, stages=dict(stages))
