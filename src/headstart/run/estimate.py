"""An estimate of how long a run takes and how much it writes, from the runs that finished before."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from headstart.config import Config, from_yaml
from headstart.config.fields import Decides
from headstart.config.keys import values_that_decide
from headstart.core.errors import HeadstartError
from headstart.results.runs import finished_runs
from headstart.results.sections import Dataset, Seconds

MOST_RUNS = 200  # the latest ones, which are looked at
COPIES = 2  # of what a run writes: in its directory, and among the artifacts of the tracking store


@dataclass(frozen=True)
class Estimated:
    """How long a run will take and how much it will write."""

    seconds: float
    source: str  # the runs that it is estimated from
    bytes: float


@dataclass(frozen=True)
class PastRun:
    """A finished run that others are estimated from."""

    directory: Path
    config: Config
    dataset: Dataset
    seconds: Seconds

    @property
    def work(self) -> float:
        """Return the pixels that it trained on, counted once an epoch."""
        return float(self.dataset.images["train"] * count_epochs(self.config) * self.dataset.image_size**2)

    @functools.cached_property
    def bytes(self) -> float:
        """Return the bytes that it wrote."""
        return float(COPIES * sum(file.stat().st_size for file in self.directory.rglob("*") if file.is_file()))


def estimate_from(past: list[PastRun], config: Config, work: float) -> Estimated | None:
    """Return an estimate from the runs that are closest to a run; None if there is none.

    Args:
        past: see `past_runs`.
        config: of the run.
        work: the pixels that it trains on, counted once an epoch.
    """
    for source, alike in (("the same but for the seed", _same_but_seed), ("like it", _like), ("rough", _same_backbone)):
        fitting = [run for run in past if alike(run.config, config)]
        if fitting:
            seconds = median(_seconds(run, work) for run in fitting)
            return Estimated(seconds, source, median(run.bytes for run in fitting))
    return None


def past_runs() -> list[PastRun]:
    """Return the latest finished runs below the outputs."""
    found = []
    for directory, results in finished_runs()[-MOST_RUNS:]:
        if results.dataset is None or results.seconds is None:
            continue
        try:
            config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, HeadstartError):  # of another version: no help for an estimate
            continue
        found.append(PastRun(directory, config, results.dataset, results.seconds))
    return found


def _seconds(run: PastRun, work: float) -> float:
    """Return how long another amount of the same work takes: only the time of training changes with it."""
    training = run.seconds.training or 0.0
    return run.seconds.total - training + training * (work / run.work if run.work else 1.0)


def _same_but_seed(run: Config, config: Config) -> bool:
    def values(one: Config) -> dict[str, Any]:
        places = {"root": one.dataset.root, "csv": one.dataset.csv}
        return values_that_decide(one, (Decides.RESULT, Decides.DATA, Decides.NAME)) | places

    return values(run) == values(config)


def _like(run: Config, config: Config) -> bool:
    names = [(one.dataset.name, one.freeze.name, one.head.name) for one in (run, config)]
    return names[0] == names[1] and _same_backbone(run, config) and run.image_size == config.image_size


def _same_backbone(run: Config, config: Config) -> bool:
    return run.backbone == config.backbone


def count_epochs(config: Config) -> int:
    """Return the epochs of all stages."""
    return sum(stage.epochs for stage in config.freeze.stages)
