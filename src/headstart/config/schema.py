"""The schema of a whole run: every configuration group and every single key.

Plain YAML under `conf/` holds the values. They are merged into these dataclasses while Hydra composes, so that a
misspelt key or a wrong type is refused before any work, in YAML files and on the command line alike. What a key means,
takes and decides stands in its field. Below `headstart.config` a configuration travels as plain dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.config.fields import REQUIRED, Decides, choice, group, number, path, plain
from headstart.config.schema_data import AugmentationConfig, CrossValidationConfig, DatasetConfig
from headstart.config.schema_learning import BackboneConfig, FreezeConfig, HeadConfig, OptimizerConfig
from headstart.core.sqlite_uri import absolute_uri

CELLS = ("small_similar", "large_similar", "small_different", "large_different")  # of the square of scenarios


@dataclass
class TrackingConfig:
    """Where MLflow keeps the runs."""

    name: str = plain(REQUIRED, "name of the option")
    uri: str | None = path(
        "address of the tracking store; null: a SQLite file among the outputs", make_absolute=absolute_uri
    )
    experiment: str = plain("headstart", "MLflow experiment that the runs are in")


@dataclass
class CacheConfig:
    """Which work that gives the same numbers every time is done once and kept on disk."""

    name: str = plain(REQUIRED, "name of the option")
    activations: bool = plain(True, "keep the activations of frozen layers")
    images: bool = plain(True, "keep images decoded and resized")
    dtype: str = choice(
        "float32", "float16", meaning="type of kept activations; float16 takes half the room", decides=Decides.RESULT
    )
    max_gb: float = number(20.0, "room for the whole cache; the least recently used goes first", "GB", above=0)


@dataclass
class SweepConfig:
    """The jobs of one command with several of them (-m)."""

    name: str | None = plain(
        None, "name of the sweep's directory; null makes one from the command, by which its finished jobs are found"
    )


@dataclass
class CellConfig:
    """What one of the four scenarios calls for."""

    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


@dataclass
class ScenarioConfig:
    """Which of the four scenarios of transfer learning a run is in; its freeze schedule and optimizer come with it."""

    name: str | None = choice(
        None, *CELLS, "auto", meaning="the scenario; auto: measured when the run starts", decides=Decides.NAME
    )
    cells: dict[str, CellConfig] = group(dict, Decides.NOTHING)

    @property
    def cell(self) -> str | None:
        """The scenario that is named; None where there is none, or it has to be measured."""
        return None if self.name == "auto" else self.name


@dataclass
class RecipeConfig:
    """The published recipe that an experiment follows; its result is what the run's is compared with."""

    name: str | None = plain(None, "name of the recipe")
    published: str | None = plain(None, "the published result, in words")


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
    seed: int = number(
        0,
        "seed of the weights, the order and the augmentation; dataset.split.seed is apart",
        "",
        minimum=0,
        decides=Decides.REPLICATE,
    )
    image_size: int | None = number(
        None,
        "side of the images; null takes what suits the dataset, else the backbone's own",
        "pixels",
        above=0,
        decides=Decides.RESULT,
    )
    batch_size: int = number(32, "images in a batch", "images", minimum=1, decides=Decides.RESULT)
    epochs: int | None = number(
        None,
        "a number replaces the epochs of every stage: epochs=1 for a quick try",
        "epochs",
        minimum=1,
        decides=Decides.RESULT,
    )
    steps_per_epoch: int | None = number(
        None,
        "batches in an epoch; null shows every training image once",
        "batches",
        minimum=1,
        decides=Decides.RESULT,
    )
    class_weight: str = choice(
        *("none", "balanced", "inverse"),
        meaning="weights of the images in training, and where epochs are judged; inverse is total/count",
        decides=Decides.RESULT,
    )
    label_smoothing: float = number(
        0.0,
        "share of the target that is spread over all classes",
        "fraction",
        minimum=0,
        below=1,
        decides=Decides.RESULT,
    )
    patience: int | None = number(
        None,
        "a stage ends after this many epochs without a lower validation loss; null never ends it early",
        "epochs",
        minimum=1,
        decides=Decides.RESULT,
    )
    precision: str = choice(
        *("auto", "float32", "mixed_float16", "mixed_bfloat16"),
        meaning="auto: float32 on a CPU, mixed_float16 on a GPU that is fast at it",
        decides=Decides.RESULT,
    )
    device: str = choice(
        *("auto", "cpu", "gpu"),
        meaning="auto takes the GPUs that TensorFlow can use; gpu refuses to train without one; cpu leaves them alone",
        decides=Decides.NOTHING,
        of_command=True,
    )
    inference_backend: str = choice(
        *("auto", "tensorflow", "openvino"),
        meaning="what runs frozen layers, evaluation and prediction; auto: openvino where it is installed and there is "
        "no GPU, else tensorflow",
        decides=Decides.NOTHING,
        formerly="engine",
    )
    deterministic: bool = plain(
        True, "the same seed gives the same numbers, at some cost on a GPU", decides=Decides.RESULT
    )
    evaluate_after_each_stage: bool = plain(
        False, "evaluate after the head and after fine-tuning: what each stage gained", decides=Decides.NOTHING
    )
    audit: str = choice(
        *("quick", "full", "off"),
        meaning="how much the data report looks for near-duplicates, blur, shortcuts; full adds mislabelled images",
        decides=Decides.NOTHING,
    )
    find_lr: bool = plain(
        False,
        "true sweeps the learning rate of the first stage, suggests one, and trains nothing",
        decides=Decides.RESULT,  # such a run has no figures
    )
    objective: str = choice(
        *("accuracy", "accuracy_and_seconds"),
        meaning="figures of each job, on validation, that a sweeper such as Optuna receives",
        decides=Decides.COMMAND,
    )
    on_error: str = choice(
        *("continue", "stop"), meaning="what the other jobs of a sweep (-m) do when one fails", decides=Decides.COMMAND
    )
    plan: bool = plain(
        False,
        "true prints what the run or the jobs of a sweep would do and how long it takes, and runs nothing",
        decides=Decides.COMMAND,
    )
    checkpoint_seconds: float | None = number(
        60.0,
        "training that a crash may cost; null saves at the end of each stage and when interrupted",
        "seconds",
        minimum=0,
        decides=Decides.NOTHING,
        of_command=True,
    )
    time_limit: str | None = plain(
        None,
        "such as 90s, 30m or 1h30m: training then finishes its batch, saves, and ends as if interrupted",
        decides=Decides.NOTHING,
        of_command=True,
    )
    resume: str | None = plain(
        None,
        "run to resume: its directory, MLflow id or latest; auto: the interrupted run of this command, if there is one",
        decides=Decides.COMMAND,
    )
    reproduce: str | None = plain(
        None,
        "finished run to repeat as it is stored, and to compare with: its directory, MLflow id, latest or best",
        decides=Decides.COMMAND,
    )
