"""The part of the schema about the network and its training: backbone, head, optimizer, stages."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.config.fields import REQUIRED, Decides, choice, number, parsed, path, plain
from headstart.config.train_targets import GRAMMAR, TrainTarget, write_target
from headstart.core.paths import absolute


def absolute_weights(value: str, base: Path) -> str:
    """Return the absolute path for a file of weights, and any other name as it is."""
    file = absolute(value, base)
    return str(file) if file.is_file() else value


@dataclass
class BackboneConfig:
    """The pretrained network and where its weights come from."""

    name: str = plain(REQUIRED, "name in the registry of backbones")
    weights: str = path(
        "imagenet (by download), packaged (installed with headstart), none (random), or a file",
        default="imagenet",
        make_absolute=absolute_weights,
    )


@dataclass
class HeadConfig:
    """The new layers on top of the backbone."""

    name: str = plain(
        REQUIRED,
        "name of the head in reports",
        decides=Decides.NAME,
        former_values={"include_top": "original", "include_top_sigmoid": "original_sigmoid"},
    )
    fit: str = choice(
        *("gradient", "logistic_regression", "svm"), meaning="what fits the head in a stage that trains nothing else"
    )
    pooling: str = choice(
        *("average", "flatten", "include_top"),
        meaning="how the feature map becomes a vector; include_top: by the backbone's own layers before its output",
        former_values={"include_top": "original"},
    )
    units: int | None = number(None, "width of the hidden ReLU layer; null for none", "units", above=0)
    batch_norm: bool = plain(False, "batch norm after the hidden layer")
    dropout: float = number(0.0, "dropout just before the output", "fraction", minimum=0, below=1)
    output: str = choice(
        *("softmax", "sigmoid", "imagenet"),
        meaning="sigmoid: one, for two classes; imagenet: the backbone's own output, of 1000 classes",
    )


@dataclass
class ScheduleConfig:
    """How the learning rate moves within a stage."""

    name: str = choice("constant", "cosine", "plateau", meaning="shape of the schedule")
    warmup_epochs: float = number(0.0, "linear rise from zero (constant, cosine)", "epochs", minimum=0)
    factor: float = number(0.5, "what the learning rate is multiplied by (plateau)", "factor", above=0, below=1)
    patience: int = number(
        2, "epochs without a lower validation loss before it is multiplied (plateau)", "epochs", minimum=1
    )


@dataclass
class OptimizerConfig:
    """The optimizer of a stage; a stage's own `optimizer` replaces single values of the run's."""

    name: str = choice(REQUIRED, "sgd", "rmsprop", "adam", "adamw", meaning="algorithm")
    learning_rate: float = number(REQUIRED, "learning rate of the head and the uppermost block", "", above=0)
    momentum: float = number(0.0, "momentum (sgd, rmsprop)", "fraction", minimum=0, below=1)
    weight_decay: float = number(0.0, "weight decay, decoupled from the gradient", "per step", minimum=0)
    clip_norm: float | None = number(None, "largest global norm of the gradients; null for any", "", above=0)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    layer_decay: float = number(
        1.0,
        "layer decay: each block's learning rate is that of the block above it times this",
        "factor",
        above=0,
        maximum=1,
        formerly="block_decay",
    )
    ema: float = number(0.0, "decay of the averaged weights that are kept; 0 is off", "fraction", minimum=0, below=1)
    accumulate: int = number(1, "batches whose gradients are averaged before one update", "batches", minimum=1)


def _all_optional(schema: Any) -> Any:
    """Return a schema with the same keys, none of which has to be given; null leaves the value as it is elsewhere."""
    members: list[Any] = []
    for item in dataclasses.fields(schema):
        kind = typing.get_type_hints(schema)[item.name]
        if dataclasses.is_dataclass(kind):
            nested = _all_optional(kind)
            members.append((item.name, nested, field(default_factory=nested)))
        else:
            # What it takes is checked once the stage has its whole optimizer.
            declared = {name: value for name, value in item.metadata.items() if name not in ("bounds", "choices")}
            members.append((item.name, kind | None, field(default=None, metadata=declared)))
    return dataclasses.make_dataclass(
        f"Stage{schema.__name__}", members, namespace={"__doc__": f"{schema.__doc__} Null is the run's own value."}
    )


if TYPE_CHECKING:  # as they are once resolved
    StageOptimizerConfig = OptimizerConfig
    Trains = TrainTarget
else:
    StageOptimizerConfig = _all_optional(OptimizerConfig)
    Trains = Any


@dataclass
class StageConfig:
    """One stage of training: what trains, for how long, with which optimizer."""

    name: str = plain(REQUIRED, "name of the stage in reports", decides=Decides.NAME)
    train: Trains = parsed("what trains beside the head", GRAMMAR, write_target)
    epochs: int = number(REQUIRED, "length of the stage", "epochs", minimum=1)
    optimizer: StageOptimizerConfig = field(default_factory=StageOptimizerConfig)
    batch_norm: str = choice(
        "frozen", "train", meaning="train: batch statistics in the blocks that train; frozen: the stored ones"
    )


@dataclass
class FreezeConfig:
    """The stages of training, in order."""

    name: str = plain(REQUIRED, "name of the freeze schedule in reports", decides=Decides.NAME)
    stages: list[StageConfig] = REQUIRED
