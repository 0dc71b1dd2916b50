"""The schema of the network and its training: backbone, head, optimizer and stages."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.config.fields import REQUIRED, Decides, choice, number, parsed, path, setting
from headstart.config.train_targets import GRAMMAR, TrainTarget, write_target
from headstart.core.paths import absolute


def absolute_weights(value: str, base: Path) -> str:
    """Return the absolute path of a weights file; return any other name unchanged."""
    file = absolute(value, base)
    return str(file) if file.is_file() else value


@dataclass
class BackboneConfig:
    """The pretrained network and where its weights come from."""

    name: str = setting(REQUIRED, "name in the registry of backbones")
    weights: str = path(
        "imagenet (downloaded), packaged (installed with headstart), none (random), or a file",
        default="imagenet",
        make_absolute=absolute_weights,
    )


@dataclass
class HeadConfig:
    """The new layers on top of the backbone."""

    name: str = setting(
        REQUIRED,
        "name of the head in reports",
        decides=Decides.NAME,
        former_values={"include_top": "original", "include_top_sigmoid": "original_sigmoid"},
    )
    fit: str = choice(
        *("gradient", "logistic_regression", "svm", "ridge"), meaning="how to fit the head in a head-only stage"
    )
    pooling: str = choice(
        *("average", "flatten", "multi_depth", "include_top"),
        meaning="turns feature maps into a vector; multi_depth: the averages of the maps at all split points; "
        "include_top: the backbone's own layers below its output",
        former_values={"include_top": "original"},
    )
    units: int | None = number(None, "width of the hidden ReLU layer; null: no hidden layer", "units", above=0)
    batch_norm: bool = setting(False, "batch normalization after the hidden layer")
    dropout: float = number(0.0, "dropout rate before the output layer", "fraction", minimum=0, below=1)
    output: str = choice(
        *("softmax", "sigmoid", "imagenet"),
        meaning="output layer; sigmoid: one unit, for two classes; imagenet: the backbone's own 1000 classes",
    )


@dataclass
class ScheduleConfig:
    """The learning rate schedule of a stage."""

    name: str = choice("constant", "cosine", "plateau", meaning="shape of the schedule")
    warmup_epochs: float = number(0.0, "linear warm-up from zero (constant, cosine)", "epochs", minimum=0)
    factor: float = number(0.5, "factor that reduces the learning rate (plateau)", "factor", above=0, below=1)
    patience: int = number(
        2, "epochs without a lower validation loss before a reduction (plateau)", "epochs", minimum=1
    )


@dataclass
class OptimizerConfig:
    """The optimizer of every stage; a stage's own `optimizer` overrides single values."""

    name: str = choice(REQUIRED, "sgd", "rmsprop", "adam", "adamw", meaning="Keras optimizer")
    learning_rate: float = number(REQUIRED, "learning rate of the head and the top block", "", above=0)
    momentum: float = number(0.0, "momentum (sgd, rmsprop)", "fraction", minimum=0, below=1)
    weight_decay: float = number(0.0, "decoupled weight decay", "per step", minimum=0)
    clip_norm: float | None = number(None, "clip gradients to this global norm; null: no clipping", "", above=0)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    layer_decay: float = number(
        1.0,
        "layer decay: multiplies the learning rate from each block to the one below it",
        "factor",
        above=0,
        maximum=1,
        formerly="block_decay",
    )
    ema: float = number(
        0.0, "decay of the exponential moving average of the weights; 0: off", "fraction", minimum=0, below=1
    )
    accumulate: int = number(1, "gradient accumulation: batches per update", "batches", minimum=1)


def _all_optional(schema: Any) -> Any:
    """Return a schema with the same keys, all optional; null inherits the run's value."""
    members: list[Any] = []
    for item in dataclasses.fields(schema):
        kind = typing.get_type_hints(schema)[item.name]
        if dataclasses.is_dataclass(kind):
            nested = _all_optional(kind)
            members.append((item.name, nested, field(default_factory=nested)))
        else:
            # `resolve` checks the value once the stage has its whole optimizer.
            declared = {name: value for name, value in item.metadata.items() if name not in ("bounds", "choices")}
            members.append((item.name, kind | None, field(default=None, metadata=declared)))
    return dataclasses.make_dataclass(
        f"Stage{schema.__name__}", members, namespace={"__doc__": f"{schema.__doc__} Null inherits the run's value."}
    )


if TYPE_CHECKING:  # the types in a resolved configuration
    StageOptimizerConfig = OptimizerConfig
    Trains = TrainTarget
else:
    StageOptimizerConfig = _all_optional(OptimizerConfig)
    Trains = Any


@dataclass
class StageConfig:
    """One training stage: the layers that train, the epochs and the optimizer."""

    name: str = setting(REQUIRED, "name of the stage in reports", decides=Decides.NAME)
    train: Trains = parsed("layers that train besides the head", GRAMMAR, write_target)
    epochs: int = number(REQUIRED, "epochs of the stage", "epochs", minimum=1)
    optimizer: StageOptimizerConfig = field(default_factory=StageOptimizerConfig)
    batch_norm: str = choice(
        "frozen",
        "train",
        meaning="batch normalization of the blocks that train; train: batch statistics; frozen: stored ones",
    )
    fit: str | None = choice(
        *(None, "gradient", "logistic_regression", "svm", "ridge"),
        meaning="how to fit the head in a stage that trains nothing else; null: as head.fit",
    )


@dataclass
class FreezeConfig:
    """The stages of training, in order."""

    name: str = setting(REQUIRED, "name of the freeze schedule in reports", decides=Decides.NAME)
    stages: list[StageConfig] = REQUIRED
