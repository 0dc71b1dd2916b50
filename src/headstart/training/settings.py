"""What all stages of a run share: settings, and functions to call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headstart.config import HeadConfig, StageConfig
from headstart.training.history import EpochRecord


@dataclass(frozen=True)
class TrainingSettings:
    """The settings that all stages share.

    Args:
        head: says how the head is fitted in the stages that train nothing else.
        seed: of scikit-learn's folds and solvers.
        label_smoothing: share of the target that is spread over all classes, 0 to below 1.
        patience: a stage ends after so many epochs without a lower validation loss; None runs all its epochs.
        keep_probe: whether the result has the weights after the head-only stages, for an interpolation.
        verbose: whether to print the blocks of the network in each stage.
    """

    head: HeadConfig
    seed: int = 0
    label_smoothing: float = 0.0
    patience: int | None = None
    keep_probe: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class StageCallbacks:
    """Functions to call while the stages train.

    Args:
        on_epoch_end: called with the record of each epoch.
        on_stage_end: called with each stage, when the classifier has the best weights so far.
    """

    on_epoch_end: Callable[[EpochRecord], None] = lambda record: None
    on_stage_end: Callable[[StageConfig], None] = lambda stage: None
