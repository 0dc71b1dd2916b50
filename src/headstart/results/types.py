"""The results of a run; results.json is their serialised form."""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.results.figures import EpochFigures, PictureLabels, SplitFigures, SplitResults
from headstart.results.refinements import Calibration, Flips, Interpolation
from headstart.results.scenario import Scenario
from headstart.results.sections import (
    CacheUse,
    Dataset,
    DiskUse,
    Environment,
    LearningRateSuggestion,
    Parameters,
    Recipe,
    Reproduction,
    Seconds,
    Tracking,
)
from headstart.results.threshold import ThresholdAdvice
from headstart.results.unfamiliar import Unfamiliar

SCHEMA_VERSION = 3  # of results.json; see headstart.results.upgrade for what each version changed
UNFINISHED = "UNFINISHED"  # a run without results: in progress, or killed before it could write any


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """Everything that a run found.

    A section is absent (None) if the run did not get that far or is of another kind: a run on unlabelled images has
    `pictures`, a run with `find_lr=true` has a learning rate, all other runs have `splits`.
    """

    run_id: str | None
    """MLflow id of the run; null before it is tracked, and if it is not tracked."""
    name: str | None = None
    """Name of the run, as in MLflow; absent before it is set up."""
    status: str = UNFINISHED
    """`RUNNING`, `FINISHED`, `FAILED`, `KILLED` (interrupted) or `UNFINISHED` (unknown)."""
    error: str | None = None
    """What went wrong; absent if nothing did."""
    command: str | None = None
    """The command, as it can be typed again."""
    overrides: tuple[str, ...] | None = None
    """Overrides of the configuration on the command line."""
    config_hash: str | None = None
    """Digest of the configuration that decides the figures (16 hexadecimal digits)."""
    recipe: Recipe | None = None
    """The published recipe that the run follows."""
    scenario: Scenario | None = None
    """The transfer-learning scenario that the run trains for."""
    seed: int | None = None
    """Seed of everything random."""
    output: str | None = None
    """Directory of the run."""
    resumed: int | None = None
    """How often the run was resumed; absent if never."""
    dataset: Dataset | None = None
    """The images that the run used."""
    environment: Environment | None = None
    """Versions, machine and how it was used."""
    disk: DiskUse | None = None
    """Bytes that the run was expected to write."""
    experiment_id: str | None = None
    """Id of the MLflow experiment; absent before the store has the run."""
    tracking_uri: str | None = None
    """Address of the tracking store."""
    stages: dict[str, dict[str, SplitFigures]] | None = None
    """Figures after each stage, by stage and split (`evaluate_after_each_stage=true`)."""
    best_epoch: EpochFigures | None = None
    """The epoch whose weights the classifier has: the best by validation accuracy, then by validation loss."""
    parameters: Parameters | None = None
    """The numbers of parameters of the classifier."""
    data_wait_fraction: dict[str, float] | None = None
    """Fraction of step time that each stage spent waiting for data, 0 to 1."""
    interpolation: Interpolation | None = None
    """What `interpolate=wise_ft` found; absent without it."""
    flips: Flips | None = None
    """What `tta=flip` changed; absent without it."""
    calibration: Calibration | None = None
    """What `calibrate=temperature` found; absent without it."""
    model_bytes: int | None = None
    """Size of the saved model.keras in bytes."""
    splits: dict[str, SplitResults] | None = None
    """Figures of the saved classifier by split (`validation`, `test`); empty if it only labelled unlabelled images."""
    threshold: ThresholdAdvice | None = None
    """The threshold between two classes that the validation images advise; absent for more classes."""
    unfamiliar: Unfamiliar | None = None
    """Images of the splits that look unlike the training images; absent if that is not measured."""
    pictures: PictureLabels | None = None
    """Labels of unlabelled images."""
    cache: CacheUse | None = None
    """How the run used the cache."""
    learning_rate: LearningRateSuggestion | None = field(default=None, metadata={"inline": True})
    """What `find_lr=true` found."""
    reproduces: Reproduction | None = None
    """The comparison with the run that `reproduce` names."""
    seconds: Seconds | None = None
    """Durations of the run and its phases."""
    tracking: Tracking | None = None
    """What the tracking store has received, has not received or has refused."""

    @property
    def finished(self) -> bool:
        """Whether the run finished."""
        return self.status == "FINISHED"

    @property
    def validation(self) -> SplitResults | None:
        """The figures of the validation split; None if it was not evaluated."""
        return (self.splits or {}).get("validation")

    @property
    def test(self) -> SplitResults | None:
        """The figures of the test split; None if it was not evaluated."""
        return (self.splits or {}).get("test")

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the images; None if the run ended before they were read."""
        return self.dataset.fingerprint if self.dataset else None

    @property
    def first_error_line(self) -> str | None:
        """The first line of what went wrong; None if nothing did."""
        return self.error.splitlines()[0] if self.error else None
