"""Groups runs into strategies, named by the overrides in which they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from headstart.comparison.collect import Run
from headstart.comparison.naming import GROUPED_BY, Settings, differing_settings, written
from headstart.comparison.statistics import Interval, accuracy_interval
from headstart.config import Config, to_dict
from headstart.config.keys import values_that_decide
from headstart.tracking import flatten

DIGEST_LENGTH = 8  # characters shown


@dataclass(frozen=True, eq=False)
class Strategy:
    """Runs that differ only in the seed and the cross-validation fold.

    Args:
        settings: in which it differs from the other strategies.
        config: of the first run.
        runs: the finished ones, one for each seed and fold, in that order.
        failed: number of runs that did not finish.
        images: digest of the test images.
    """

    settings: Settings
    config: Config
    runs: tuple[Run, ...]
    failed: int
    images: str

    @property
    def label(self) -> str:
        """Its settings as typed on the command line, which is its name."""
        return written(self.settings)

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return sorted({seed_of(run) for run in self.runs})

    @property
    def folds(self) -> list[int]:
        """The cross-validation folds, in order; a single 0 without cross-validation."""
        return sorted({fold_of(run) for run in self.runs})

    @property
    def tested(self) -> bool:
        """Whether there are test images."""
        return all(run.test is not None for run in self.runs)

    @property
    def test_images(self) -> int | None:
        """How many images one run is tested on, the largest number where folds differ; None without a test."""
        return max((len(run.test.paths) for run in self.runs if run.test is not None), default=None)

    def test_accuracy(self) -> Interval | None:
        """Return the mean test accuracy with its interval over seeds, folds, or the images of one run."""
        if not self.tested:
            return None
        right = {(seed_of(run), fold_of(run)): run.test.correct for run in self.runs if run.test is not None}
        by_seed = [np.concatenate([values for (seed, _), values in right.items() if seed == one]) for one in self.seeds]
        correct, images = int(sum(one.sum() for one in by_seed)), sum(len(one) for one in by_seed)
        if len(self.seeds) == 1 and len(self.folds) > 1:
            return accuracy_interval([float(values.mean()) for values in right.values()], correct, images, "folds")
        return accuracy_interval([float(values.mean()) for values in by_seed], correct, images)

    @property
    def validation_accuracy(self) -> float | None:
        """The mean over the runs, by which the best strategy is chosen; None if no run has it."""
        return _mean([found.accuracy for run in self.runs if (found := run.results.validation)])

    @property
    def validation_loss(self) -> float | None:
        """The mean over the runs; None if no run has it."""
        return _mean([found.log_loss for run in self.runs if (found := run.results.validation)])

    @property
    def test_macro_f1(self) -> float | None:
        """The mean over the runs; None if no run has it."""
        return _mean([found.macro_f1 for run in self.runs if (found := run.results.test)])

    @property
    def seconds(self) -> float | None:
        """The mean seconds of a whole run; None if no run has them."""
        return _mean([found.total for run in self.runs if (found := run.results.seconds)])

    @property
    def training_images(self) -> float | None:
        """The mean number of training images; None if no run has it."""
        return _mean([found.images["train"] for run in self.runs if (found := run.results.dataset)])

    @property
    def trainable_parameters(self) -> float | None:
        """The mean number of parameters that the last stage trains; None if no run has it."""
        return _mean([found.trainable for run in self.runs if (found := run.results.parameters)])

    @property
    def best_epochs(self) -> tuple[int, int] | None:
        """The lowest and the highest best validation epoch of the runs."""
        known = [run.results.best_epoch.epoch for run in self.runs if run.results.best_epoch]
        return (min(known), max(known)) if known else None

    @property
    def bytes(self) -> int | None:
        """The mean size of the saved models."""
        sizes = [run.bytes for run in self.runs if run.bytes is not None]
        return round(fmean(sizes)) if sizes else None


def group_runs(runs: Sequence[Run]) -> tuple[list[Strategy], list[tuple[str, Run]], list[str]]:
    """Group runs into strategies.

    Args:
        runs: in the order in which they were started.

    Returns:
        The strategies; the runs that did not finish, each with its name; notes about runs that were left out.
    """
    comparable = [run for run in runs if not _reason_to_leave_out(run)]
    notes = [reason for run in runs if (reason := _reason_to_leave_out(run))]
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in comparable:
        groups[_key(run.config) if run.config else ""].append(run)
    named = differing_settings([members[0].config for key, members in groups.items() if key and members[0].config])
    strategies, unfinished = [], []
    for settings, members in zip(named, (group for key, group in groups.items() if key), strict=True):
        by_images: dict[str, list[Run]] = defaultdict(list)
        for run in members:
            if run.error is None:
                by_images[_images(run)].append(run)
        done = {(seed_of(run), fold_of(run)) for same in by_images.values() for run in same}
        failed = [run for run in members if run.error is not None and (seed_of(run), fold_of(run)) not in done]
        unfinished += [(_name_of_failed(written(settings), run), run) for run in failed]
        for images, same in by_images.items():
            shown = settings if len(by_images) == 1 else {**settings, "images": images[:DIGEST_LENGTH]}
            kept, repeated = _drop_repeats(same)
            notes += [f"{written(shown)}: {repeated} earlier run(s) of the same seed are left out"] if repeated else []
            strategies.append(Strategy(shown, same[0].config, kept, len(failed), images))  # type: ignore[arg-type]
    unfinished += [(run.directory.name, run) for run in groups.get("", [])]
    return strategies, unfinished, notes


def flat_config(config: Config) -> dict[str, Any]:
    """Return every value of a configuration by its dotted key."""
    return flatten(to_dict(config))


def seed_of(run: Run) -> int:
    """Return the seed of a run."""
    return run.config.seed if run.config else 0


def fold_of(run: Run) -> int:
    """Return the cross-validation fold of a run; 0 without cross-validation."""
    fold = flat_config(run.config).get("cv.fold") if run.config else None
    return 0 if fold is None else int(fold)


def _reason_to_leave_out(run: Run) -> str | None:
    """Say why a run has nothing that could be compared."""
    if (run.config and run.config.find_lr) or (run.error is None and run.results.splits is None):
        return f"{run.directory.name} is left out: it ran the learning-rate finder and has no accuracy"
    if run.config and run.config.head.output == "imagenet":
        return f"{run.directory.name} is left out: it labels unlabelled images and has no accuracy"
    return None


def _images(run: Run) -> str:
    """Return the digest of a run's test images, or of all images with cross-validation, so that folds match."""
    flat = flat_config(run.config) if run.config else {}
    return run.images["all"] if (flat.get("cv.folds") or 0) > 1 else run.images["test"]


def _key(config: Config) -> str:
    """Return what the runs of one strategy share: the keys that decide results, and the names of data and scenario."""
    chosen = {"dataset": config.dataset.name, "scenario": config.scenario.name}
    return repr(sorted(values_that_decide(config, GROUPED_BY).items()) + sorted(chosen.items()))


def _drop_repeats(runs: Sequence[Run]) -> tuple[tuple[Run, ...], int]:
    """Return the last run of each seed and fold, and how many earlier ones were dropped."""
    last = {(seed_of(run), fold_of(run)): run for run in runs}
    return tuple(last[key] for key in sorted(last)), len(runs) - len(last)


def _name_of_failed(label: str, run: Run) -> str:
    """Return the name of a run that did not finish: its own words on the command line, else its strategy and seed."""
    if run.results.overrides:
        return " ".join(run.results.overrides)
    return f"{label} seed={seed_of(run)}" if label else run.name


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return fmean(values) if values else None
