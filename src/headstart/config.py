"""The schema behind every configuration group; the only file below the command line that sees OmegaConf.

Plain YAML under `conf/` holds the values. They are merged into these dataclasses while Hydra composes, so that a
misspelt key or a wrong type is refused before any work, in YAML files and on the command line alike. Ranges and
choices stand in the fields themselves. Below this file a configuration travels as plain dataclasses.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import math
import os
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from headstart.errors import HeadstartError, expect_one_of

REQUIRED: Any = "???"  # OmegaConf's mark for a value that must be given
SCENARIO = re.compile(r"[+~]*scenario\b")  # an override of the group or one of its values
CELLS = ("small_similar", "large_similar", "small_different", "large_different")  # of the square of scenarios


def choice(default: str | None, *others: str) -> Any:
    """Return a field that takes one of the given words."""
    return field(default=default, metadata={"choices": (default, *others)})


def number(
    default: Any,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """Return a field that takes a number within bounds; `above` and `below` are themselves excluded."""
    bounds = {"at least": minimum, "at most": maximum, "above": above, "below": below}
    return field(
        default=default, metadata={"bounds": {word: bound for word, bound in bounds.items() if bound is not None}}
    )


@dataclass
class SplitConfig:
    """How images without a split of their own are divided, stratified by class."""

    validation: float = number(0.2, above=0, below=1)  # fraction of all such images
    test: float = number(0.2, minimum=0, below=1)  # fraction of all such images; 0 makes no test split
    seed: int = 0  # apart from the run's seed, so that runs with different seeds share their test images


@dataclass
class DatasetConfig:
    """Where the images come from and how they become squares of pixels."""

    name: str = REQUIRED
    source: str = choice(REQUIRED, "digits", "folder", "csv", "flat", "keras", "tfds", "pictures")
    root: str | None = None  # directory of the images (folder, csv, flat, pictures)
    origin: str | None = None  # where people get the images and how large they are; said where they are missing
    csv: str | None = None  # file with the columns path,label[,split][,group] (csv)
    collection: str | None = None  # name in keras.datasets (keras) or in TensorFlow Datasets (tfds)
    label_names: list[str] | None = None  # of the class numbers that the files' names start with (flat)
    classes: list[str] | None = None  # the only classes to keep, by name; null keeps all
    exclude: str | None = None  # CSV file with the column path, such as an audit's: images to leave out
    group: str | None = choice(None, "near_duplicates")  # of which images stay in one split, beside the csv's groups
    split: SplitConfig = field(default_factory=SplitConfig)
    fraction: float = number(1.0, above=0, maximum=1)  # of the training images; smaller ones lie within larger ones
    resize: str = choice("stretch", "crop", "pad")
    suggested_image_size: int | None = number(None, above=0)  # where image_size is null, instead of the backbone's own
    bad_images: str = choice("fail", "skip")
    max_pixels: int = number(89_478_485, minimum=1, maximum=178_956_970)  # of an image; Pillow refuses more than this
    max_file_mb: float = number(256.0, above=0)  # of an image file
    follow_links: bool = False  # true: links may lead out of the root, to wherever files can be read


@dataclass
class BackboneConfig:
    """The pretrained network and where its weights come from."""

    name: str = REQUIRED
    weights: str = "imagenet"  # imagenet | packaged | none | /path/to/file


@dataclass
class HeadConfig:
    """The new layers on top of the backbone."""

    name: str = REQUIRED
    fit: str = choice("gradient", "logistic_regression", "svm")  # how a stage that trains the head alone fits it
    pooling: str = choice("average", "flatten", "original")  # original: the backbone's own layers before its output
    units: int | None = number(None, above=0)  # width of the hidden ReLU layer; null for none
    batch_norm: bool = False  # batch norm after the hidden layer
    dropout: float = number(0.0, minimum=0, below=1)  # just before the output
    output: str = choice("softmax", "sigmoid", "imagenet")  # sigmoid: one, for two classes; imagenet: the original


@dataclass
class AugmentationConfig:
    """Random changes of training images; all zero is none."""

    name: str = REQUIRED
    flip: bool = False  # left-right, half of the images
    rotation: float = number(0.0, minimum=0, maximum=180)  # degrees to either side
    shift: float = number(0.0, minimum=0, below=1)  # fraction of the side, in both directions
    shear: float = number(0.0, minimum=0, maximum=1)
    zoom: float = number(0.0, minimum=0, below=1)  # fraction in or out
    fill: str = choice("nearest", "reflect", "constant")  # what stands outside the image
    randaugment: float = number(0.0, minimum=0, maximum=1)  # magnitude of RandAugment's operations
    mixup: float = number(0.0, minimum=0)  # alpha of the Beta distribution
    cutmix: float = number(0.0, minimum=0)  # alpha of the Beta distribution
    views: Any = field(default="live", metadata={"count_or": "live"})  # live: afresh in each epoch; or kept, so many


@dataclass
class ScheduleConfig:
    """How the learning rate moves within a stage."""

    name: str = choice("constant", "cosine", "plateau")
    warmup_epochs: float = number(0.0, minimum=0)  # linear from zero (constant, cosine)
    factor: float = number(0.5, above=0, below=1)  # plateau: multiply by this
    patience: int = number(2, minimum=1)  # plateau: after this many epochs without a lower validation loss


@dataclass
class OptimizerConfig:
    """The optimizer of a stage; a stage's own `optimizer` replaces single values of the run's."""

    name: str = choice(REQUIRED, "sgd", "rmsprop", "adam", "adamw")
    learning_rate: float = number(REQUIRED, above=0)
    momentum: float = number(0.0, minimum=0, below=1)  # sgd, rmsprop
    weight_decay: float = number(0.0, minimum=0)  # decoupled from the gradient
    clip_norm: float | None = number(None, above=0)  # global norm of the gradients
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    block_decay: float = number(1.0, above=0, maximum=1)  # each block learns this much slower than the one above it
    ema: float = number(0.0, minimum=0, below=1)  # decay of the averaged weights that are kept; 0 is off
    accumulate: int = number(1, minimum=1)  # batches whose gradients are averaged before one update


def _all_optional(schema: Any) -> Any:
    """Return a schema with the same keys, none of which has to be given; null leaves the value as it is elsewhere."""
    members: list[Any] = []
    for item in dataclasses.fields(schema):
        kind = typing.get_type_hints(schema)[item.name]
        if dataclasses.is_dataclass(kind):
            nested = _all_optional(kind)
            members.append((item.name, nested, field(default_factory=nested)))
        else:
            members.append((item.name, kind | None, None))
    return dataclasses.make_dataclass(f"Stage{schema.__name__}", members)


if TYPE_CHECKING:
    StageOptimizerConfig = OptimizerConfig  # what it is once resolved
else:
    StageOptimizerConfig = _all_optional(OptimizerConfig)


@dataclass
class StageConfig:
    """One stage of training: what trains, for how long, with which optimizer."""

    name: str = REQUIRED
    train: Any = REQUIRED  # the grammar is in headstart.model.freeze
    epochs: int = number(REQUIRED, minimum=1)
    # Values that replace the run's; a whole OptimizerConfig once resolved.
    optimizer: StageOptimizerConfig = field(default_factory=StageOptimizerConfig)
    batch_norm: str = choice("frozen", "train")  # train: batch statistics in the blocks that train


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
class CacheConfig:
    """What is kept of the work that gives the same numbers every time."""

    name: str = REQUIRED
    activations: bool = True  # of frozen layers
    images: bool = True  # decoded and resized
    dtype: str = choice("float32", "float16")  # of activations; float16 takes half the room
    max_gb: float = number(20.0, above=0)  # of all of it on disk; the least recently used goes first


@dataclass
class CrossValidationConfig:
    """Training and testing on every part of the images in turn; each fold is a job of a sweep."""

    folds: int | None = number(None, minimum=2)
    fold: int | None = number(None, minimum=0)  # which part is the test split; -m runs all of them


@dataclass
class SweepConfig:
    """What several runs of one command (-m) have in common."""

    name: str | None = None  # of its directory; null makes one from the command, which finds its jobs again


@dataclass
class ScenarioConfig:
    """Which of the four scenarios of transfer learning a run is in; its freeze schedule and optimizer come with it."""

    name: str | None = choice(None, *CELLS, "auto")  # auto: measured when the run starts
    overrides: list[str] = field(default_factory=list)  # auto: what else was asked for, which the cell is composed with

    @property
    def cell(self) -> str | None:
        """The scenario that is named; None where there is none, or it has to be measured."""
        return None if self.name == "auto" else self.name


@dataclass
class RecipeConfig:
    """The published recipe that an experiment follows; says what a result is measured against, decides nothing."""

    name: str | None = None
    published: str | None = None  # the published result, in words


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
    cache: CacheConfig = field(default_factory=CacheConfig)
    cv: CrossValidationConfig = field(default_factory=CrossValidationConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    scenario: ScenarioConfig = field(default_factory=ScenarioConfig)
    seed: int = number(0, minimum=0)
    image_size: int | None = number(None, above=0)
    batch_size: int = number(32, minimum=1)
    epochs: int | None = number(None, minimum=1)
    steps_per_epoch: int | None = number(None, minimum=1)
    class_weight: str = choice("none", "balanced", "inverse")
    label_smoothing: float = number(0.0, minimum=0, below=1)
    patience: int | None = number(None, minimum=1)
    precision: str = choice("auto", "float32", "mixed_float16", "mixed_bfloat16")
    engine: str = choice("auto", "tensorflow", "openvino")
    deterministic: bool = True
    evaluate_after_each_stage: bool = False
    audit: str = choice("quick", "full", "off")
    find_lr: bool = False
    objective: str = choice("accuracy", "accuracy_and_seconds")
    on_error: str = choice("continue", "stop")
    plan: bool = False
    checkpoint_seconds: float | None = number(60.0, minimum=0)
    time_limit: str | None = None
    resume: str | None = None
    reproduce: str | None = None


def conf_directory() -> Path:
    """Return the directory of the shipped configuration."""
    return Path(__file__).parents[2] / "conf"


def register_schema() -> None:
    """Make the schema known to Hydra, under the name that `conf/config.yaml` starts from."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)


def compose(overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Compose a run's configuration, for scripts and tests, and for what a run finds out itself.

    Args:
        overrides: as on the command line, for example `["backbone=vgg16", "seed=1"]`.

    Raises:
        HeadstartError: for an unknown name or key, a wrong type, a value out of its range.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    register_schema()
    try:
        # Within a job of run.py Hydra is there already, and knows the options of --config-dir too.
        there = GlobalHydra.instance().is_initialized()
        with (
            contextlib.nullcontext()
            if there
            else hydra.initialize_config_dir(str(conf_directory()), version_base="1.3")
        ):
            return resolve(hydra.compose("config", expand_home(overrides)), overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise HeadstartError(explain(error)) from error


def as_typed(overrides: Any) -> list[str]:
    """Return the overrides that Hydra keeps, their `${...}` not resolved: they stand for values of another place.

    Args:
        overrides: `hydra.overrides.task` or `hydra.overrides.hydra`.
    """
    return OmegaConf.to_container(overrides, resolve=False)  # type: ignore[return-value]


def expand_home(overrides: list[str] | tuple[str, ...]) -> list[str]:
    """Put the home directory for `~` in `key=~/photos`, which neither the shell nor Hydra does.

    Args:
        overrides: as on the command line.
    """
    return [
        re.sub(r"^([\w.]+=)(~[\w-]*)", lambda found: found[1] + os.path.expanduser(found[2]), item)
        for item in overrides
    ]


def scenario_cells(config: Config) -> dict[str, Config]:
    """Return what `scenario=auto` may become: for each cell the configuration with its freeze schedule and optimizer.

    They are those of `scenario=CELL` beside the same other overrides, so that what was given explicitly wins in the
    same way.

    Args:
        config: of a run with `scenario=auto`.

    Raises:
        HeadstartError: when the other overrides do not fit the cell.
    """
    others = tuple(override for override in config.scenario.overrides if not SCENARIO.match(override))
    composed = {cell: copy.deepcopy(_compose_cell(cell, others)) for cell in CELLS}
    return {
        cell: dataclasses.replace(config, freeze=one.freeze, optimizer=one.optimizer) for cell, one in composed.items()
    }


@functools.cache
def _compose_cell(cell: str, others: tuple[str, ...]) -> Config:
    """Return a cell's configuration; composing takes a fifth of a second, and a run asks several times."""
    try:
        return compose([*others, f"scenario={cell}"])
    except HeadstartError as error:
        raise HeadstartError(f"scenario={cell}, which scenario=auto may choose: {error}") from error


def resolve(composed: DictConfig, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Turn what Hydra composed into plain dataclasses, with every value checked.

    Args:
        composed: the configuration as Hydra hands it over.
        overrides: with which it was composed; `scenario=auto` needs them when it has measured.

    Returns:
        The configuration in which each stage carries its whole optimizer and `epochs` has been applied.

    Raises:
        HeadstartError: for a missing value or one out of its range.
    """
    try:
        _refuse_unknown_keys(composed, Config, "")
        config: Config = OmegaConf.to_object(composed)  # type: ignore[assignment]
        check_values(config)
        for stage in config.freeze.stages:
            given = _without_null(dataclasses.asdict(stage.optimizer))
            whole: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(config.optimizer), given))
            stage.optimizer = whole
            stage.epochs = config.epochs if config.epochs is not None else stage.epochs
    except OmegaConfBaseException as error:
        raise HeadstartError(explain(error)) from error
    if not config.freeze.stages:
        raise HeadstartError("Expected freeze.stages to have at least one stage. Received: an empty list")
    names = [stage.name for stage in config.freeze.stages]
    if len(set(names)) < len(names):
        raise HeadstartError(f"Expected every stage in freeze.stages to have a name of its own. Received: {names}")
    check_values(config)
    if config.scenario.name == "auto" and overrides:
        config.scenario.overrides = list(overrides)
        scenario_cells(config)  # whatever does not fit one of them is said now, not after the measuring
    return config


def to_yaml(config: Config) -> str:
    """Return the resolved configuration as YAML; `resolve` turns it back into the same configuration."""
    return OmegaConf.to_yaml(OmegaConf.create(dataclasses.asdict(config)))


def from_yaml(text: str) -> Config:
    """Return the configuration that `to_yaml` wrote.

    Raises:
        HeadstartError: when the text is none, as that of another version may be.
    """
    try:
        written = OmegaConf.create(text)
        _refuse_interpolations(OmegaConf.to_container(written), "")
        merged = OmegaConf.merge(OmegaConf.structured(Config), written)
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, RecursionError) as error:
        raise HeadstartError(explain(error)) from error
    except AssertionError as error:  # OmegaConf's, of a number
        raise HeadstartError(f"Expected a configuration. Received: {text[:40]}") from error
    return resolve(merged)  # type: ignore[arg-type]


def _refuse_interpolations(value: Any, key: str) -> None:
    """Raise for a value that would be looked up, in the environment for example; a resolved configuration has none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_interpolations(inner, f"{key}.{name}".strip("."))
    elif isinstance(value, list) and key != "scenario.overrides":  # which are kept as they were typed
        for inner in value:
            _refuse_interpolations(inner, key)
    elif isinstance(value, str) and "${" in value:
        raise HeadstartError(f"Expected {key} of a resolved configuration to be a plain value. Received: {value}")


def explain(error: BaseException) -> str:
    """Say in one sentence what is wrong with a configuration, with the valid names.

    Args:
        error: what Hydra or OmegaConf raised.
    """
    first_line = str(error).splitlines()[0].strip()
    where = f" in {first_line.split(':')[0].removeprefix('In ')}" if first_line.startswith("In '") else ""
    cause: BaseException | None = error
    try:
        while cause is not None and not isinstance(cause, OmegaConfBaseException):
            options = getattr(cause, "options", None)
            if options:  # an option that its group does not have
                group, _, name = str(getattr(cause, "missing_cfg_file", "")).rpartition("/")
                expect_one_of(group or "the configuration", name, sorted(options))
            cause = cause.__cause__ or cause.__context__
        if cause is not None and dataclasses.is_dataclass(cause.object_type) and cause.key is not None:
            parent = str(cause.full_key).rpartition(".")[0] or "the configuration"
            names = [item.name for item in dataclasses.fields(cause.object_type)]
            expect_one_of(f"a key of {parent}", cause.key, names, where)
    except HeadstartError as explained:
        return str(explained)
    if type(error).__name__ == "OverrideParseException":
        return (
            f"Expected KEY=VALUE on the command line, with a value of special characters in two pairs of quotes: "
            f"'dataset.root=\"~/my photos\"'. Received: {getattr(error, 'override', first_line)}"
        )
    if cause is None:
        return " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    key = cause.full_key or cause.key
    return f"{f'{key}: ' if key else ''}{str(cause.msg or cause).splitlines()[0]}{where}"


def check_values(node: Any, prefix: str = "") -> None:
    """Raise for the first value that is not among the choices or within the bounds of its field.

    Args:
        node: a configuration, or one group of it.
        prefix: how its keys begin on the command line, for example `augmentation.`.

    Raises:
        HeadstartError: naming the key, what it takes and the value.
    """
    for item in dataclasses.fields(node):
        key, value = f"{prefix}{item.name}", getattr(node, item.name)
        for position, member in enumerate(value if isinstance(value, list) else [value]):
            if dataclasses.is_dataclass(member):
                check_values(member, f"{key}[{position}]." if isinstance(value, list) else f"{key}.")
        if "choices" in item.metadata and (value is not None or item.default is not None):
            expect_one_of(key, value, [name for name in item.metadata["choices"] if name not in (None, REQUIRED)])
        if "count_or" in item.metadata:
            word, count = item.metadata["count_or"], isinstance(value, int) and not isinstance(value, bool)
            if value != word and not (count and value >= 1):
                raise HeadstartError(f"Expected {key} to be {word} or a whole number of at least 1. Received: {value}")
        if "bounds" in item.metadata and value is not None:
            within = {
                "at least": lambda bound, value=value: value >= bound,
                "at most": lambda bound, value=value: value <= bound,
                "above": lambda bound, value=value: value > bound,
                "below": lambda bound, value=value: value < bound,
            }
            bounds = item.metadata["bounds"]
            if not math.isfinite(value) or not all(within[word](bound) for word, bound in bounds.items()):
                wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items())
                raise HeadstartError(f"Expected {key} to be {wanted}. Received: {value}")


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values without those that are null."""
    kept = {key: _without_null(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None}


def _refuse_unknown_keys(node: Any, schema: Any, prefix: str) -> None:
    """Raise for a key that `+` or `++` on the command line added beside the schema."""
    valid = {item.name: item for item in dataclasses.fields(schema)}
    for key in node:
        expect_one_of(f"a key of {prefix or 'the configuration'}", key, list(valid))
        default = valid[key].default_factory
        if dataclasses.is_dataclass(default):
            _refuse_unknown_keys(node[key], default, f"{prefix}.{key}".strip("."))
