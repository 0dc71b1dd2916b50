"""The schema behind every configuration group; the only file that sees OmegaConf.

Plain YAML under `conf/` holds the values. They are merged into these dataclasses while Hydra composes, so that a
misspelt key or a wrong type is refused before any work, in YAML files and on the command line alike. Below this file
the resolved configuration travels as plain dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

REQUIRED: Any = "???"  # OmegaConf's mark for a value that must be given


@dataclass
class SplitConfig:
    """How images without a split of their own are divided, stratified by class."""

    validation: float = 0.2  # fraction of all such images, over 0 and below 1
    test: float = 0.2  # fraction of all such images; 0 makes no test split
    seed: int = 0  # apart from the run's seed, so that runs with different seeds share their test images


@dataclass
class DatasetConfig:
    """Where the images come from and how they become squares of pixels."""

    name: str = REQUIRED
    source: str = REQUIRED  # digits | folder | csv
    root: str | None = None  # directory of the images (folder, csv)
    csv: str | None = None  # file with the columns path,label[,split][,group] (csv)
    split: SplitConfig = field(default_factory=SplitConfig)
    fraction: float = 1.0  # share of the training images to use; smaller ones are subsets of larger ones
    resize: str = "stretch"  # stretch | crop | pad
    suggested_image_size: int | None = None  # used where image_size is null, instead of the backbone's own
    bad_images: str = "fail"  # fail | skip


@dataclass
class BackboneConfig:
    """The pretrained network and where its weights come from."""

    name: str = REQUIRED
    weights: str = "imagenet"  # imagenet | packaged | none | /path/to/file


@dataclass
class HeadConfig:
    """The new layers on top of the backbone."""

    name: str = REQUIRED
    pooling: str = "average"  # average | flatten
    units: int | None = None  # width of the hidden ReLU layer; null for none
    batch_norm: bool = False  # batch norm after the hidden layer
    dropout: float = 0.0  # just before the output
    output: str = "softmax"  # softmax | sigmoid (one output, two classes)


@dataclass
class AugmentationConfig:
    """Random changes of training images; all zero is none."""

    name: str = REQUIRED
    flip: bool = False  # left-right, half of the images
    rotation: float = 0.0  # degrees to either side, 0 to 180
    shift: float = 0.0  # fraction of the side, in both directions, 0 to below 1
    shear: float = 0.0  # shear factor (tangent of the angle), 0 to 1
    zoom: float = 0.0  # fraction in or out, 0 to below 1
    fill: str = "nearest"  # nearest | reflect | constant: what stands outside the image
    randaugment: float = 0.0  # magnitude of RandAugment's colour and geometry operations, 0 to 1
    mixup: float = 0.0  # alpha of the Beta distribution, 0 and above
    cutmix: float = 0.0  # alpha of the Beta distribution, 0 and above


@dataclass
class ScheduleConfig:
    """How the learning rate moves within a stage."""

    name: str = "constant"  # constant | cosine | plateau
    warmup_epochs: float = 0.0  # linear from zero (constant, cosine)
    factor: float = 0.5  # plateau: multiply by this
    patience: int = 2  # plateau: after this many epochs without a lower validation loss


@dataclass
class OptimizerConfig:
    """The optimizer of a stage; a stage's own `optimizer` replaces single values of the run's."""

    name: str = REQUIRED  # sgd | rmsprop | adam | adamw
    learning_rate: float = REQUIRED
    momentum: float = 0.0  # sgd, rmsprop
    weight_decay: float = 0.0  # decoupled from the gradient
    clip_norm: float | None = None  # global norm of the gradients
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    block_decay: float = 1.0  # each block below the head learns this much slower than the one above it
    ema: float = 0.0  # decay of the averaged weights that are validated and kept; 0 is off, 0.99 is usual
    accumulate: int = 1  # batches whose gradients are averaged before one update


@dataclass
class StageConfig:
    """One stage of training: what trains, for how long, with which optimizer."""

    name: str = REQUIRED
    train: Any = REQUIRED  # see headstart.model.freeze for the grammar
    epochs: int = REQUIRED
    optimizer: Any = None  # values that replace the run's; an OptimizerConfig once resolved
    batch_norm: str = "frozen"  # frozen | train


@dataclass
class FreezeConfig:
    """The stages in order."""

    name: str = REQUIRED
    stages: list[StageConfig] = REQUIRED


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs."""

    name: str = REQUIRED
    uri: str | None = None  # null: a SQLite file among the outputs
    experiment: str = "headstart"


@dataclass
class Config:
    """One run."""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: int = 0
    image_size: int | None = None
    batch_size: int = 32
    epochs: int | None = None
    class_weight: str = "none"  # none | balanced | inverse
    label_smoothing: float = 0.0
    patience: int | None = None
    precision: str = "auto"  # auto | float32 | mixed_float16 | mixed_bfloat16
    deterministic: bool = True
