"""The schema behind every configuration group; with `config_checks` all that sees OmegaConf below the command line.

Plain YAML under `conf/` holds the values. They are merged into these dataclasses while Hydra composes, so that a
misspelt key or a wrong type is refused before any work, in YAML files and on the command line alike. Ranges, choices
and what a key decides stand in the fields themselves. Below this file a configuration travels as plain dataclasses.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from headstart.config.checks import check_values, explain, refuse_interpolations, refuse_unknown_keys
from headstart.config.fields import REQUIRED, Decides, choice, group, number, plain
from headstart.core.errors import HeadstartError
from headstart.core.paths import absolute, conf_directory
from headstart.core.sqlite_uri import absolute_uri

SCENARIO = re.compile(r"[+~]*scenario\b")  # an override of the group or one of its values
# Metadata of fields that take a list of names, or a name. Their type is Any: OmegaConf would turn into text what YAML
# has made of `no` and `001`.
NAMES = {"names": True}
NAME = {"name_or": ()}
NAME_OR_FALSE = {"name_or": (False,)}
OWN_SOURCES = ("hydra", "main", "schema")  # what Hydra calls the places that every command looks for options in
CELLS = ("small_similar", "large_similar", "small_different", "large_different")  # of the square of scenarios


@dataclass
class SplitConfig:
    """How images without a split of their own are divided, stratified by class."""

    validation: float = number(0.2, above=0, below=1)  # fraction of all such images
    test: float = number(0.2, minimum=0, below=1)  # fraction of all such images; 0 makes no test split
    seed: int = 0  # apart from the run's seed, so that runs with different seeds share their test images


@dataclass
class ColumnsConfig:
    """Names of a table's columns; null finds the column by a usual name, false does not read it."""

    path: Any = field(default=None, metadata=NAME)
    label: Any = field(default=None, metadata=NAME)
    split: Any = field(default=None, metadata=NAME_OR_FALSE)
    group: Any = field(default=None, metadata=NAME_OR_FALSE)


@dataclass
class DatasetConfig:
    """Where the images come from and how they become squares of pixels."""

    name: str = plain(REQUIRED, Decides.NAME)
    source: str = choice(REQUIRED, "digits", "folder", "csv", "flat", "keras", "tfds", "pictures")
    root: str | None = plain(None, Decides.LOCATION)  # directory of the images (folder, csv, flat, pictures)
    # Where people get the images and how large they are; said where they are missing.
    origin: str | None = plain(None, Decides.NOTHING)
    # File with a header path,label[,split][,group], or the like (csv)
    csv: str | None = plain(None, Decides.LOCATION)
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)  # of that file
    collection: str | None = None  # name in keras.datasets (keras) or in TensorFlow Datasets (tfds)
    # Of the class numbers that the files' names start with (flat)
    label_names: list[Any] | None = field(default=None, metadata=NAMES)
    splits: Any = "auto"  # which folders are splits: auto, none, or {train: learn, test: final} (folder, flat)
    classes: list[Any] | None = field(default=None, metadata=NAMES)  # the only classes to keep, by name; null keeps all
    min_images: int | None = number(None, minimum=1)  # classes with fewer (a given test split aside) are left out
    # CSV file with the column path, such as an audit's: images to leave out
    exclude: str | None = plain(None, Decides.LOCATION)
    group: str | None = choice(None, "near_duplicates")  # of which images stay in one split, beside the csv's groups
    split: SplitConfig = field(default_factory=SplitConfig)
    fraction: float = number(1.0, above=0, maximum=1)  # of the training images; smaller ones lie within larger ones
    resize: str = choice("stretch", "crop", "pad")
    suggested_image_size: int | None = number(None, above=0)  # where image_size is null, instead of the backbone's own
    bad_images: str = choice("fail", "skip")
    max_pixels: int = number(89_478_485, minimum=1, maximum=178_956_970)  # of an image; Pillow refuses more than this
    max_file_mb: float = number(256.0, above=0)  # of an image file
    # The values that become black and white in images of more than 8 bits: auto takes the bits that are used in the
    # whole data set, full 0 to 65535.
    value_range: Any = field(default="auto", metadata={"range_or": ("auto", "full")})
    follow_links: bool = False  # true: links may lead out of the root, to wherever files can be read


@dataclass
class BackboneConfig:
    """The pretrained network and where its weights come from."""

    name: str = REQUIRED
    weights: str = "imagenet"  # imagenet | packaged | none | /path/to/file


@dataclass
class HeadConfig:
    """The new layers on top of the backbone."""

    name: str = plain(REQUIRED, Decides.NAME)
    fit: str = choice("gradient", "logistic_regression", "svm")  # how a stage that trains the head alone fits it
    pooling: str = choice("average", "flatten", "original")  # original: the backbone's own layers before its output
    units: int | None = number(None, above=0)  # width of the hidden ReLU layer; null for none
    batch_norm: bool = False  # batch norm after the hidden layer
    dropout: float = number(0.0, minimum=0, below=1)  # just before the output
    output: str = choice("softmax", "sigmoid", "imagenet")  # sigmoid: one, for two classes; imagenet: the original


@dataclass
class AugmentationConfig:
    """Random changes of training images; all zero is none."""

    name: str = plain(REQUIRED, Decides.NAME)
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
            declared = {name: item.metadata[name] for name in ("decides",) if name in item.metadata}
            members.append((item.name, kind | None, field(default=None, metadata=declared)))
    return dataclasses.make_dataclass(f"Stage{schema.__name__}", members)


if TYPE_CHECKING:
    StageOptimizerConfig = OptimizerConfig  # what it is once resolved
else:
    StageOptimizerConfig = _all_optional(OptimizerConfig)


@dataclass
class StageConfig:
    """One stage of training: what trains, for how long, with which optimizer."""

    name: str = plain(REQUIRED, Decides.NAME)
    train: Any = REQUIRED  # the grammar is in headstart.model.targets
    epochs: int = number(REQUIRED, minimum=1)
    # Values that replace the run's; a whole OptimizerConfig once resolved.
    optimizer: StageOptimizerConfig = field(default_factory=StageOptimizerConfig)
    batch_norm: str = choice("frozen", "train")  # train: batch statistics in the blocks that train


@dataclass
class FreezeConfig:
    """The stages in order."""

    name: str = plain(REQUIRED, Decides.NAME)
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
    dtype: str = choice("float32", "float16", decides=Decides.RESULT)  # of activations; float16 takes half the room
    max_gb: float = number(20.0, above=0)  # of all of it on disk; the least recently used goes first


@dataclass
class CrossValidationConfig:
    """Training and testing on every part of the images in turn; each fold is a job of a sweep."""

    folds: int | None = number(None, minimum=2)
    # Which part is the test split; -m runs all of them.
    fold: int | None = number(None, minimum=0, decides=Decides.REPLICATE)


@dataclass
class SweepConfig:
    """What several runs of one command (-m) have in common."""

    name: str | None = None  # of its directory; null makes one from the command, which finds its jobs again


@dataclass
class ScenarioConfig:
    """Which of the four scenarios of transfer learning a run is in; its freeze schedule and optimizer come with it."""

    name: str | None = choice(None, *CELLS, "auto", decides=Decides.NAME)  # auto: measured when the run starts
    # auto: what a cell is composed with: what else was asked for, and where options are beside the shipped ones.
    overrides: list[str] = group(list, Decides.NOTHING)
    search_path: list[str] = group(list, Decides.NOTHING)

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

    dataset: DatasetConfig = group(DatasetConfig, Decides.DATA)
    backbone: BackboneConfig = group(BackboneConfig, Decides.RESULT)
    head: HeadConfig = group(HeadConfig, Decides.RESULT)
    augmentation: AugmentationConfig = group(AugmentationConfig, Decides.RESULT)
    freeze: FreezeConfig = group(FreezeConfig, Decides.RESULT)
    optimizer: OptimizerConfig = group(OptimizerConfig, Decides.RESULT)
    tracking: TrackingConfig = group(TrackingConfig, Decides.LOCATION)
    cache: CacheConfig = group(CacheConfig, Decides.NOTHING)  # cached and uncached figures agree
    cv: CrossValidationConfig = group(CrossValidationConfig, Decides.DATA)
    sweep: SweepConfig = group(SweepConfig, Decides.COMMAND)
    recipe: RecipeConfig = group(RecipeConfig, Decides.NOTHING)
    scenario: ScenarioConfig = group(ScenarioConfig, Decides.RESULT)  # as an option it sets freeze and optimizer
    seed: int = number(0, minimum=0, decides=Decides.REPLICATE)
    image_size: int | None = number(None, above=0, decides=Decides.RESULT)
    batch_size: int = number(32, minimum=1, decides=Decides.RESULT)
    epochs: int | None = number(None, minimum=1, decides=Decides.RESULT)
    steps_per_epoch: int | None = number(None, minimum=1, decides=Decides.RESULT)
    class_weight: str = choice("none", "balanced", "inverse", decides=Decides.RESULT)
    label_smoothing: float = number(0.0, minimum=0, below=1, decides=Decides.RESULT)
    patience: int | None = number(None, minimum=1, decides=Decides.RESULT)
    precision: str = choice("auto", "float32", "mixed_float16", "mixed_bfloat16", decides=Decides.RESULT)
    # gpu refuses to train without one, cpu leaves those there are alone
    device: str = choice("auto", "cpu", "gpu", decides=Decides.NOTHING)
    engine: str = choice("auto", "tensorflow", "openvino", decides=Decides.NOTHING)
    deterministic: bool = plain(True, Decides.RESULT)
    evaluate_after_each_stage: bool = plain(False, Decides.NOTHING)
    audit: str = choice("quick", "full", "off", decides=Decides.NOTHING)
    find_lr: bool = plain(False, Decides.RESULT)  # such a run has no figures
    objective: str = choice("accuracy", "accuracy_and_seconds", decides=Decides.COMMAND)
    on_error: str = choice("continue", "stop", decides=Decides.COMMAND)
    plan: bool = plain(False, Decides.COMMAND)
    checkpoint_seconds: float | None = number(60.0, minimum=0, decides=Decides.NOTHING)
    time_limit: str | None = plain(None, Decides.NOTHING)
    resume: str | None = plain(None, Decides.COMMAND)
    reproduce: str | None = plain(None, Decides.COMMAND)


def register_schema() -> None:
    """Make the schema known to Hydra, under the name that `conf/config.yaml` starts from."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)


def compose(overrides: list[str] | tuple[str, ...] = (), search_path: list[str] | tuple[str, ...] = ()) -> Config:
    """Compose a run's configuration, for scripts and tests, and for what a run finds out itself.

    Args:
        overrides: as on the command line, for example `["backbone=vgg16", "seed=1"]`.
        search_path: where options are beside the shipped ones, see `search_path_of`.

    Raises:
        HeadstartError: for an unknown name or key, a wrong type, a value out of its range.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    register_schema()
    try:
        there = GlobalHydra.instance().is_initialized()
        with (
            contextlib.nullcontext()
            if there
            else hydra.initialize_config_dir(str(conf_directory()), version_base="1.3")
        ):
            expect_as_typed(overrides)
            composed = hydra.compose("config", [*expand_home(overrides), *_searching(search_path)])
            return resolve(composed, overrides, list(search_path))
    except (HydraException, OmegaConfBaseException) as error:
        raise HeadstartError(explain(error)) from error


def search_path_of(hydra: Any) -> list[str]:
    """Return where a command looks for options beside the shipped ones: `--config-dir` and `hydra.searchpath`.

    Args:
        hydra: Hydra's own part of what it composed.
    """
    found = []
    for source in hydra.runtime.config_sources:
        if source.provider not in OWN_SOURCES:
            path = os.path.join(hydra.runtime.cwd, source.path) if source.schema == "file" else source.path
            found.append(f"{source.schema}://{path}")
    return list(dict.fromkeys(found))


def _searching(search_path: list[str] | tuple[str, ...]) -> list[str]:
    """Return the override with which Hydra looks for options in these places too."""
    escaped = (place.replace("\\", "\\\\").replace("'", "\\'") for place in search_path)
    listed = ",".join(f"'{place}'" for place in escaped)
    return [f"hydra.searchpath=[{listed}]"] if search_path else []


def as_typed(overrides: Any) -> list[str]:
    """Return the overrides that Hydra keeps, their `${...}` not resolved: they stand for values of another place.

    Args:
        overrides: `hydra.overrides.task` or `hydra.overrides.hydra`.
    """
    return OmegaConf.to_container(overrides, resolve=False)  # type: ignore[return-value]


def expect_as_typed(overrides: list[str] | tuple[str, ...]) -> None:
    """Raise for a text that Hydra reads as a number, and so would spell in another way: 1.10 as 1.1.

    Args:
        overrides: as on the command line, of one run or of a sweep.

    Raises:
        HeadstartError: naming the key, with how to put the text in quotes.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for override in overrides:
        key, _, values = override.lstrip("+").partition("=")
        for typed in values.split(",") if _takes_text(key) else []:
            try:
                read = parser.parse_override(f"key={typed}").value()
            except HydraException:
                continue  # half of something in quotes or brackets, or what Hydra will refuse itself
            if isinstance(read, bool | int | float) and str(read) != typed:
                raise HeadstartError(
                    f"Expected {key} to be text. Received: {typed}, which Hydra reads as {read}; write it in two pairs "
                    f"of quotes, '{key}=\"{typed}\"'"
                )


def _takes_text(key: str) -> bool:
    """Tell whether a key of the configuration takes any text."""
    kind: Any = Config
    for part in key.split("."):
        kind = typing.get_type_hints(kind).get(part) if dataclasses.is_dataclass(kind) else None
    return kind in (str, str | None)


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
    search_path = tuple(config.scenario.search_path)
    composed = {cell: copy.deepcopy(_compose_cell(cell, others, search_path)) for cell in CELLS}
    return {
        cell: dataclasses.replace(config, freeze=one.freeze, optimizer=one.optimizer) for cell, one in composed.items()
    }


@functools.cache
def _compose_cell(cell: str, others: tuple[str, ...], search_path: tuple[str, ...]) -> Config:
    """Return a cell's configuration; composing takes a fifth of a second, and a run asks several times."""
    try:
        return compose([*others, f"scenario={cell}"], search_path)
    except HeadstartError as error:
        raise HeadstartError(f"scenario={cell}, which scenario=auto may choose: {error}") from error


def resolve(
    composed: DictConfig, overrides: list[str] | tuple[str, ...] = (), search_path: list[str] | None = None
) -> Config:
    """Turn what Hydra composed into plain dataclasses, with every value checked.

    Args:
        composed: the configuration as Hydra hands it over.
        overrides: with which it was composed; `scenario=auto` needs them when it has measured.
        search_path: where options were looked for beside the shipped ones, see `search_path_of`.

    Returns:
        The configuration in which each stage carries its whole optimizer and `epochs` has been applied.

    Raises:
        HeadstartError: for a missing value or one out of its range.
    """
    try:
        refuse_unknown_keys(composed, Config, "")
        composed = with_absolute_paths(composed, Path.cwd())
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
        config.scenario.overrides, config.scenario.search_path = list(overrides), search_path or []
        scenario_cells(config)  # whatever does not fit one of them is said now, not after the measuring
    return config


def with_absolute_paths(composed: DictConfig, base: Path) -> DictConfig:
    """Return a configuration whose paths no change of the working directory moves.

    Args:
        composed: the configuration as Hydra hands it over.
        base: the directory where the command was given.
    """
    composed = copy.deepcopy(composed)
    for key in ("dataset.root", "dataset.csv", "dataset.exclude", "backbone.weights", "tracking.uri"):
        try:
            value = OmegaConf.select(composed, key, throw_on_missing=False)
        except OmegaConfBaseException:  # a value that cannot be looked up; `resolve` says what is wrong with it
            continue
        if value is None or (key == "backbone.weights" and not absolute(value, base).is_file()):
            continue  # of weights, else a name
        path = absolute_uri(value, base) if key == "tracking.uri" else str(absolute(value, base))
        OmegaConf.update(composed, key, path)
    return composed


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
        refuse_interpolations(OmegaConf.to_container(written), "")
        merged = OmegaConf.merge(OmegaConf.structured(Config), written)
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, RecursionError) as error:
        raise HeadstartError(explain(error)) from error
    except AssertionError as error:  # OmegaConf's, of a number
        raise HeadstartError(f"Expected a configuration. Received: {text[:40]}") from error
    return resolve(merged)  # type: ignore[arg-type]


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values without those that are null."""
    kept = {key: _without_null(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None}
