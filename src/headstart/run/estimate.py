"""Estimate how long a run takes and how much it writes from earlier finished runs."""

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
from headstart.run.preflight import possible_configurations

MOST_RUNS = 200  # use only the latest runs
COPIES = 2  # a run's files are in its directory and in the artifacts of the tracking store


@dataclass(frozen=True)
class Estimated:
    """How long a run will take and how much it will write."""

    seconds: float
    source: str  # how similar the earlier runs are
    bytes: float


@dataclass(frozen=True)
class PastRun:
    """An earlier finished run."""

    directory: Path
    config: Config
    dataset: Dataset
    seconds: Seconds

    @property
    def work(self) -> float:
        """Return the number of pixels that the run trained on, over all epochs."""
        return float(self.dataset.images["train"] * count_epochs(self.config) * self.dataset.image_size**2)

    @functools.cached_property
    def bytes(self) -> float:
        """Return the bytes that the run wrote."""
        return float(COPIES * sum(file.stat().st_size for file in self.directory.rglob("*") if file.is_file()))


def estimate_from(past: list[PastRun], config: Config, work: float) -> Estimated | None:
    """Return an estimate from the most similar earlier runs; None if no run is similar.

    Args:
        past: see `past_runs`.
        config: configuration of the run.
        work: number of pixels that the run trains on, over all epochs.
    """
    levels = (
        ("runs that differ only in the seed", _same_but_seed),
        ("similar runs", _like),
        ("runs with the same backbone: a rough guess", _same_backbone),
    )
    for source, alike in levels:
        fitting = [run for run in past if alike(run.config, config)]
        if fitting:
            seconds = median(_seconds(run, work) for run in fitting)
            return Estimated(seconds, source, median(run.bytes for run in fitting))
    return None


def past_runs() -> list[PastRun]:
    """Return the latest finished runs in the outputs directory."""
    found = []
    for directory, results in finished_runs()[-MOST_RUNS:]:
        if results.dataset is None or results.seconds is None:
            continue
        try:
            config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, HeadstartError):  # from another version
            continue
        found.append(PastRun(directory, config, results.dataset, results.seconds))
    return found


def _seconds(run: PastRun, work: float) -> float:
    """Return a run's seconds, with the training time scaled to another amount of work."""
    training = run.seconds.training or 0.0
    return run.seconds.total - training + training * (work / run.work if run.work else 1.0)


def _same_but_seed(run: Config, config: Config) -> bool:
    def values(one: Config) -> dict[str, Any]:
        one = possible_configurations(one)[0]  # the same before and after scenario=auto has chosen
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
