"""Checks all jobs of a sweep before the first one starts, without writing anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from headstart.config import Config, override_value, select_overrides
from headstart.core.console import console, print_to_stderr, track
from headstart.core.errors import HeadstartError, printable
from headstart.core.paths import cache_directory
from headstart.data.index import first_few
from headstart.data.load import load_index
from headstart.run.preflight import check_configuration
from headstart.sweep.results import finished_in_place

LISTED = (
    "folder",
    "csv",
    "flat",
    "unlabelled",
)  # sources whose images are listed in a moment; others may be downloaded
MANY = 30  # composing this many jobs takes more than a few seconds

Compose = Callable[[list[str]], Config]
Reasons = dict[str, list[str]]  # reason -> labels of the jobs that it applies to


class InvalidJobs(HeadstartError):
    """Jobs of a sweep cannot run as they are configured."""

    def __init__(self, message: str, reasons: Reasons) -> None:
        """Keep the reasons, which are printed below the message.

        Args:
            message: a sentence.
            reasons: each with the labels of its jobs.
        """
        super().__init__(message)
        self.reasons = reasons

    def print(self) -> None:
        """Print the reasons, each with its jobs, below the message."""
        for reason, labels in self.reasons.items():
            print_to_stderr(f"  {printable(first_few(labels))}: {printable(reason)}")


def check_jobs(directory: Path, jobs: Sequence[tuple[str, list[str]]], compose: Compose, reads_images: bool) -> Reasons:
    """Check that every job of a sweep can run, as far as possible without reading images.

    Args:
        directory: of the sweep; need not exist.
        jobs: the label and the overrides of each.
        compose: turns a job's overrides into its configuration.
        reads_images: whether the jobs run on this machine, so their images must be here.

    Returns:
        Why the images of finished jobs cannot be read now. The other jobs can run nevertheless.

    Raises:
        InvalidJobs: with every reason and its jobs; also when all jobs are finished and no images can be read.
    """
    invalid: Reasons = {}
    kept: Reasons = {}
    readable: dict[str, str | None] = {}
    for label, config in _configurations(jobs, compose, invalid):
        try:
            check_configuration(config)
        except HeadstartError as error:
            invalid.setdefault(str(error), []).append(label)
            continue
        reason = _unreadable(config, readable) if reads_images else None
        if reason is not None:
            done = finished_in_place(directory, config)
            (kept if done else invalid).setdefault(reason, []).append(label)
    if invalid:
        count = sum(map(len, invalid.values()))
        raise InvalidJobs(
            f"{count} of the sweep's {len(jobs)} jobs {'is' if count == 1 else 'are'} invalid; no job was started",
            invalid,
        )
    if kept and sum(map(len, kept.values())) == len(jobs):
        raise InvalidJobs(
            f"All {len(jobs)} jobs in {directory} are done, but their images cannot be read to check that they are "
            "still the same; the finished jobs are left as they are",
            kept,
        )
    return kept


def _configurations(
    jobs: Sequence[tuple[str, list[str]]], compose: Compose, invalid: Reasons
) -> Iterable[tuple[str, Config]]:
    """Yield the label and the configuration of each valid job, composing jobs that differ only in the seed once."""
    known: dict[tuple[str, ...], Config | HeadstartError] = {}
    if len(jobs) > MANY and not console.is_terminal:
        console.print(f"Checking the configurations of {len(jobs)} jobs")
    for label, overrides in track(jobs, len(jobs), "checking the configurations"):
        seeds = [text for text in select_overrides(overrides, ["seed"]) if override_value(text).isdigit()]
        others = tuple(text for text in overrides if text not in seeds)
        if others not in known:
            try:
                known[others] = compose(overrides)
            except HeadstartError as error:
                known[others] = error
        config = known[others]
        if isinstance(config, HeadstartError):
            invalid.setdefault(str(config), []).append(label)
            continue
        yield label, _with_seed(config, int(override_value(seeds[-1]))) if seeds else config


def _with_seed(config: Config, seed: int) -> Config:
    """Return the configuration of another seed; `sweep=learning_curve` sets dataset.fraction_seed to the seed."""
    dataset = config.dataset
    if dataset.fraction_seed == config.seed:
        dataset = dataclasses.replace(dataset, fraction_seed=seed)
    return dataclasses.replace(config, seed=seed, dataset=dataset)


def _unreadable(config: Config, known: dict[str, str | None]) -> str | None:
    """Return why the images of a job cannot be listed, None if they can; checked once per data set."""
    if config.dataset.source not in LISTED:
        return None
    # The seed that draws the images of a learning curve does not matter here, so one seed is checked for all.
    drawn = None if config.dataset.fraction_seed is None else 0
    key = repr((dataclasses.replace(config.dataset, fraction_seed=drawn), config.cv))
    if key not in known:
        try:
            load_index(config.dataset, cache_directory(), config.cv)
            known[key] = None
        except HeadstartError as error:
            known[key] = str(error)
        except OSError as error:
            known[key] = f"{error.strerror}: {error.filename}"
    return known[key]
