"""The schema of a run: every configuration group and every key.

The YAML files under `conf/` hold the values. Hydra merges them into these dataclasses, so that a misspelt key or a
wrong type is an error before any work starts, in YAML files and on the command line. Each field declares the meaning
of its key, the values it takes and what it decides. Other packages receive the configuration as plain dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.config.fields import REQUIRED, Decides, choice, group, number, path, setting
from headstart.config.schema_data import AugmentationConfig, CrossValidationConfig, DatasetConfig
from headstart.config.schema_learning import BackboneConfig, FreezeConfig, HeadConfig, OptimizerConfig
from headstart.core.sqlite_uri import absolute_uri

CELLS = (
    "small_similar",
    "large_similar",
    "small_different",
    "large_different",
)  # amount of data x similarity to ImageNet


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs."""

    name: str = setting(REQUIRED, "name of the option")
    uri: str | None = path(
        "URI of the tracking store; null: a SQLite file in the outputs directory", make_absolute=absolute_uri
    )
    experiment: str = setting("headstart", "MLflow experiment of the runs")
    register: str | None = setting(
        None,
        "registered model that gets the classifier as a version; champion moves if it validates better; null: none",
    )
    system_interval: float = number(
        10.0, "time between samples of processor, memory and GPUs for MLflow; 0: none", "seconds", minimum=0
    )


@dataclass
class CacheConfig:
    """What headstart computes once and caches on disk."""

    name: str = setting(REQUIRED, "name of the option")
    activations: bool = setting(True, "cache the activations of frozen layers")
    images: bool = setting(True, "cache decoded and resized images")
    dtype: str = choice(
        *("float32", "float16"),
        meaning="dtype of cached activations; float16 takes half the disk space",
        decides=Decides.RESULT,
    )
    max_gb: float = number(20.0, "largest size of the whole cache; evicts the least recently used", "GB", above=0)


@dataclass
class SweepConfig:
    """A sweep: the jobs of one command with -m."""

    name: str | None = setting(
        None, "name of the sweep's directory; null: derived from the command, so that it finds its finished jobs again"
    )


@dataclass
class CellConfig:
    """The freeze schedule and optimizer of one scenario, among which earlier versions chose."""

    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass
class StrategyConfig:
    """The parts of the configuration in which strategies differ."""

    head: HeadConfig = field(default_factory=HeadConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass
class ScenarioConfig:
    """The scenario of a run: a named one sets its freeze schedule and optimizer, `auto` tries strategies."""

    name: str | None = choice(
        None,
        *CELLS,
        "auto",
        meaning="the scenario; auto measures it when the run starts, tries strategies, and trains with the best",
        decides=Decides.NAME,
    )
    seconds: float = number(
        60.0,
        "scenario=auto: time for trials, after one pass over all images; 0: only the frozen probe of all depths",
        "seconds",
        minimum=0,
        decides=Decides.RESULT,
    )
    strategies: dict[str, StrategyConfig] = group(
        dict, Decides.NOTHING, "the strategies that scenario=auto chooses from; headstart fills them in"
    )
    cells: dict[str, CellConfig] = group(
        dict, Decides.NOTHING, "what scenario=auto chose from in earlier versions; only in stored configurations"
    )

    @property
    def cell(self) -> str | None:
        """The named scenario; None if there is none or if it has to be measured."""
        return None if self.name == "auto" else self.name


@dataclass
class RecipeConfig:
    """The published recipe that an experiment follows."""

    name: str | None = setting(None, "name of the recipe")
    published: str | None = setting(None, "its published result, in words")


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
    cache: CacheConfig = group(CacheConfig, Decides.NOTHING)  # cached and uncached results agree
    cv: CrossValidationConfig = group(CrossValidationConfig, Decides.DATA)
    sweep: SweepConfig = group(SweepConfig, Decides.COMMAND)
    recipe: RecipeConfig = group(RecipeConfig, Decides.NOTHING)
    scenario: ScenarioConfig = group(ScenarioConfig, Decides.RESULT)  # its options set freeze and optimizer
    seed: int = number(
        0,
        "random seed of weights, shuffling and augmentation; the split has its own, dataset.split.seed",
        "",
        minimum=0,
        decides=Decides.REPLICATE,
    )
    image_size: int | None = number(
        None,
        "side of the input images; null: the dataset's suggested_image_size, else the backbone's own size",
        "pixels",
        above=0,
        decides=Decides.RESULT,
    )
    batch_size: int = number(32, "images per batch", "images", minimum=1, decides=Decides.RESULT)
    epochs: int | None = number(
        None,
        "epochs of every stage, instead of those in the freeze schedule: epochs=1 for a quick try",
        "epochs",
        minimum=1,
        decides=Decides.RESULT,
    )
    steps_per_epoch: int | None = number(
        None,
        "batches per epoch; null: every training image once",
        "batches",
        minimum=1,
        decides=Decides.RESULT,
    )
    class_weight: str = choice(
        *("none", "balanced", "inverse"),
        meaning="class weights in training and in choosing the best epoch; inverse: total/count",
        decides=Decides.RESULT,
    )
    label_smoothing: float = number(
        0.0,
        "label smoothing: share of the target spread over all classes",
        "fraction",
        minimum=0,
        below=1,
        decides=Decides.RESULT,
    )
    patience: int | None = number(
        None,
        "early stopping: a stage ends after this many epochs without a lower validation loss; null: never",
        "epochs",
        minimum=1,
        decides=Decides.RESULT,
    )
    interpolate: str = choice(
        *("none", "wise_ft"),
        meaning="after training; wise_ft: the best weights between those after the head-only stages and the fine-tuned",
        decides=Decides.RESULT,
    )
    tta: str = choice(
        *("none", "flip"),
        meaning="test-time augmentation; flip: average the probabilities of the image and its mirror image",
        decides=Decides.RESULT,
    )
    calibrate: str = choice(
        *("none", "temperature"),
        meaning="after training; temperature: divide the logits by the number that fits the validation labels best",
        decides=Decides.RESULT,
    )
    precision: str = choice(
        *("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        meaning="Keras dtype policy; auto: mixed_float16 on a GPU with fast float16, else float32",
        decides=Decides.RESULT,
    )
    device: str = choice(
        *("auto", "cpu", "gpu"),
        meaning="auto: every GPU that TensorFlow can use, else the CPU; gpu: an error without a GPU; cpu: no GPU",
        decides=Decides.NOTHING,
        of_command=True,
    )
    inference_backend: str = choice(
        *("auto", "tensorflow", "openvino"),
        meaning="runs frozen layers, evaluation and prediction; auto: openvino if it is installed and there is no GPU, "
        "else tensorflow",
        decides=Decides.NOTHING,
        formerly="engine",
    )
    deterministic: bool = setting(True, "the same seed gives the same results; slower on a GPU", decides=Decides.RESULT)
    evaluate_after_each_stage: bool = setting(
        False, "evaluate after every stage, not only after the last one, to see each gain", decides=Decides.NOTHING
    )
    audit: str = choice(
        *("quick", "full", "off"),
        meaning="data audit before training: near-duplicates, blur, shortcuts; full: also images that look mislabelled",
        decides=Decides.NOTHING,
    )
    find_lr: bool = setting(
        False,
        "learning rate finder: suggest a learning rate for the first stage, and train nothing",
        decides=Decides.RESULT,  # such a run has no metrics
    )
    objective: str = choice(
        *("accuracy", "accuracy_and_seconds"),
        meaning="validation metrics that a sweeper such as Optuna optimizes",
        decides=Decides.COMMAND,
    )
    on_error: str = choice(
        *("continue", "stop"), meaning="whether a sweep (-m) continues when a job fails", decides=Decides.COMMAND
    )
    plan: bool = setting(
        False,
        "dry run: print the stages, the estimated time and the disk space of the run or sweep, and train nothing",
        decides=Decides.COMMAND,
    )
    verbose: bool = setting(
        False,
        "print the whole configuration, the images of each class and the blocks of the network too",
        decides=Decides.NOTHING,
        of_command=True,
    )
    quiet: bool = setting(False, "print the result alone, and errors", decides=Decides.NOTHING, of_command=True)
    checkpoint_seconds: float | None = number(
        60.0,
        "time between checkpoints; null: only at the end of each stage and when interrupted",
        "seconds",
        minimum=0,
        decides=Decides.NOTHING,
        of_command=True,
    )
    time_limit: str | None = setting(
        None,
        "longest duration, such as 90s, 30m or 1h30m; the run then saves a checkpoint and stops as if interrupted",
        decides=Decides.NOTHING,
        of_command=True,
    )
    resume: str | None = setting(
        None,
        "run to resume: its directory, MLflow run id or latest; auto: the interrupted run of this command, if any",
        decides=Decides.COMMAND,
    )
    reproduce: str | None = setting(
        None,
        "finished run to repeat with its stored configuration, and compare: directory, MLflow run id, latest, best",
        decides=Decides.COMMAND,
    )
