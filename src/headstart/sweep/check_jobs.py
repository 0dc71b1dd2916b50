"""What is wrong with the jobs of a sweep, found before the first one starts; nothing is written."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from headstart.config import Config
from headstart.core.console import console, track
from headstart.core.errors import HeadstartError, printable
from headstart.core.paths import cache_directory
from headstart.data.index import first_few
from headstart.data.load import load_index
from headstart.run.preflight import check_configuration
from headstart.sweep.results import finished_in_place

SEED = re.compile(r"seed=(\d+)")
LISTED = ("folder", "csv", "flat", "pictures")  # sources whose images are listed in a moment; others may be downloaded
MANY = 30  # jobs that take more than a few seconds to compose

Compose = Callable[[list[str]], Config]
Reasons = dict[str, list[str]]  # the labels of the jobs that each reason holds for


class InvalidJobs(HeadstartError):
    """Jobs of a sweep cannot run as they are configured."""

    def __init__(self, message: str, reasons: Reasons) -> None:
        """Keep the reasons, which are printed below the message.

        Args:
            message: a sentence.
            reasons: and the labels of the jobs that each one holds for.
        """
        super().__init__(message)
        self.reasons = reasons

    def print(self) -> None:
        """Print the reasons, each with its jobs."""
        for reason, labels in self.reasons.items():
            console.print(f"  {printable(first_few(labels))}: {printable(reason)}", markup=False, soft_wrap=True)


def check_jobs(directory: Path, jobs: Sequence[tuple[str, list[str]]], compose: Compose, reads_images: bool) -> Reasons:
    """Raise unless every job of a sweep can run, as far as that is known without reading images.

    Args:
        directory: of the sweep; need not be there.
        jobs: the label and the overrides of each.
        compose: makes a job's configuration of its overrides.
        reads_images: whether the jobs run on this machine, so that it must see their images.

    Returns:
        Why the images of jobs that are done cannot be read now, which keeps nobody from running the others.

    Raises:
        InvalidJobs: with every reason and its jobs; also when only jobs are left that are done.
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
            f"Expected every job of the sweep to be valid. Received: {count} of {len(jobs)} that are not; "
            "no job was started",
            invalid,
        )
    if kept and sum(map(len, kept.values())) == len(jobs):
        raise InvalidJobs(
            f"Expected images to compare with those of the {len(jobs)} jobs in {directory}, which are done. "
            "Received: none that can be read; the finished jobs are left as they are",
            kept,
        )
    return kept


def _configurations(
    jobs: Sequence[tuple[str, list[str]]], compose: Compose, invalid: Reasons
) -> Iterable[tuple[str, Config]]:
    """Yield the label and the configuration of each job that has one; a seed alone does not ask for another."""
    known: dict[tuple[str, ...], Config | HeadstartError] = {}
    if len(jobs) > MANY and not console.is_terminal:
        console.print(f"Checking the configurations of {len(jobs)} jobs")
    for label, overrides in track(jobs, len(jobs), "checking the configurations"):
        others = tuple(text for text in overrides if not SEED.fullmatch(text))
        if others not in known:
            try:
                known[others] = compose(overrides)
            except HeadstartError as error:
                known[others] = error
        config = known[others]
        if isinstance(config, HeadstartError):
            invalid.setdefault(str(config), []).append(label)
            continue
        seeds = [int(found[1]) for text in overrides if (found := SEED.fullmatch(text))]
        yield label, dataclasses.replace(config, seed=seeds[-1]) if seeds else config


def _unreadable(config: Config, known: dict[str, str | None]) -> str | None:
    """Return why the images of a job cannot be listed, None where they can; looked up once for each data set."""
    if config.dataset.source not in LISTED:
        return None
    key = repr((config.dataset, config.cv))
    if key not in known:
        try:
            load_index(config.dataset, cache_directory(), config.cv)
            known[key] = None
        except HeadstartError as error:
            known[key] = str(error)
        except OSError as error:
            known[key] = f"{error.strerror}: {error.filename}"
    return known[key]
