"""What a sweep would do: its jobs, which are done, how long the others take and how much they write; nothing is run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.filesize import decimal
from rich.table import Table

from headstart.config import Config, from_yaml
from headstart.console import console, duration, print_titled
from headstart.data.sources import load_index
from headstart.declarations import Decides, deciding_values
from headstart.errors import HeadstartError
from headstart.identity import config_hash
from headstart.model.backbones import get_entry
from headstart.paths import cache_directory
from headstart.preflight import check_configuration, choose_image_size
from headstart.runs import finished_runs, read_results
from headstart.sweep.results import find_finished, finished_before

MOST_RUNS = 200  # of before that are looked at, the latest ones
COPIES = 2  # of what a run writes: in its directory, and as artifacts of the tracking store


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep as it stands."""

    label: str
    state: str  # done, failed before, interrupted, to run, or what is wrong with it
    seconds: float | None  # that it will take; None where nothing like it has run here, and for what is done
    source: str  # what the seconds are known from
    bytes: float | None  # that it will write


@dataclass(frozen=True)
class Estimated:
    """What a run will take, by what has run before."""

    seconds: float
    source: str  # which runs it is known from
    bytes: float


@dataclass(frozen=True)
class PastRun:
    """A finished run that others are estimated from."""

    directory: Path
    config: Config
    results: dict[str, Any]

    @property
    def work(self) -> float:
        """Return the pixels that it trained on, counted once an epoch."""
        dataset = self.results["dataset"]
        return float(dataset["images"]["train"] * count_epochs(self.config) * dataset["image_size"] ** 2)

    @functools.cached_property
    def bytes(self) -> float:
        """Return what it wrote."""
        return float(COPIES * sum(file.stat().st_size for file in self.directory.rglob("*") if file.is_file()))


def plan_jobs(directory: Path, jobs: Sequence[tuple[str, Callable[[], Config]]]) -> list[PlannedJob]:
    """Return what became and what will become of the jobs of a sweep.

    Args:
        directory: of the sweep; need not be there.
        jobs: the label of each job, and what resolves its configuration.
    """
    past = past_runs()
    before = {
        results.get("config_hash"): results["status"]
        for file in directory.glob("*/results.json")
        if (results := read_results(file.parent))
    }
    counts: dict[str, int] = {}
    return [_plan(directory, label, resolve, past, before, counts) for label, resolve in jobs]


def _plan(
    directory: Path,
    label: str,
    resolve: Callable[[], Config],
    past: list[PastRun],
    before: dict[str | None, str],
    counts: dict[str, int],
) -> PlannedJob:
    """Return what became and what will become of one job."""
    config: Config | None = None
    try:
        config = resolve()
        check_configuration(config)
        if find_finished(directory, config) is not None:
            return PlannedJob(label, "done", None, "", None)
        side = choose_image_size(config, get_entry(config.backbone.name))
        work = float(_training_images(config, counts) * count_epochs(config) * side**2)
    except HeadstartError as error:
        reason = str(error).splitlines()[0]
        if config is not None and finished_before(directory, config_hash(config)):
            return PlannedJob(label, f"done, but its images cannot be read: {reason}", 0.0, "", 0.0)
        return PlannedJob(label, f"will fail: {reason}", 0.0, "", 0.0)
    state = {"FAILED": "failed before", "KILLED": "interrupted"}.get(before.get(config_hash(config), ""), "to run")
    found = estimate_from(past, config, work)
    if found is None:
        return PlannedJob(label, state, None, "nothing like it has run here", None)
    return PlannedJob(label, state, found.seconds, found.source, found.bytes)


def estimate_from(past: list[PastRun], config: Config, work: float) -> Estimated | None:
    """Return what a run will take by the runs that are closest to it, None where there is none.

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


def print_plan(name: str, directory: Path, jobs: list[PlannedJob], at_once: int) -> None:
    """Print the jobs of a sweep with what is known of them.

    Args:
        name: of the sweep.
        directory: of the sweep.
        jobs: see `plan_jobs`.
        at_once: how many run side by side.
    """
    table = Table()
    table.add_column("job", justify="right")
    table.add_column("", overflow="fold")
    table.add_column("state", overflow="fold")
    table.add_column("takes", justify="right", no_wrap=True)
    table.add_column("known from", overflow="fold")
    for number, job in enumerate(jobs):
        takes = "" if job.state == "done" else "?" if job.seconds is None else duration(job.seconds)
        table.add_row(str(number), job.label, job.state, takes, job.source)
    print_titled(f"Plan of {name}", table)
    left = [job for job in jobs if job.state != "done"]
    known = [job for job in left if job.seconds is not None]
    text = f"{len(jobs) - len(left)} of {len(jobs)} jobs are done."
    if left and known:
        seconds = sum(job.seconds or 0.0 for job in known) / at_once
        size = sum(job.bytes or 0.0 for job in known)
        side_by_side = f", {at_once} at once" if at_once > 1 else ""
        which = "The others" if len(known) == len(left) else f"{len(known)} of the others"
        text += (
            f" {which} take about {duration(seconds)}{side_by_side}, and write {decimal(int(size))} beside the cache."
        )
    if len(known) < len(left):
        text += f" For {len(left) - len(known)} there is no estimate before a run like them has finished."
    console.print(text, soft_wrap=True, markup=False)
    console.print(f"Nothing was run. Without plan=true the jobs go to {directory}", soft_wrap=True, markup=False)


def past_runs() -> list[PastRun]:
    """Return the latest finished runs below the outputs."""
    found = []
    for directory, results in finished_runs()[-MOST_RUNS:]:
        if "total" not in results.get("seconds", {}) or "images" not in results.get("dataset", {}):
            continue
        try:
            config = from_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, HeadstartError):  # of another version: no help for an estimate
            continue
        found.append(PastRun(directory, config, results))
    return found


def _seconds(run: PastRun, work: float) -> float:
    """Return how long another amount of the same work takes: what is not training stays."""
    seconds = run.results["seconds"]
    training = seconds.get("training", 0.0)
    return seconds["total"] - training + training * (work / run.work if run.work else 1.0)


def _same_but_seed(run: Config, config: Config) -> bool:
    def values(one: Config) -> dict[str, Any]:
        places = {"root": one.dataset.root, "csv": one.dataset.csv}
        return deciding_values(one, (Decides.RESULT, Decides.DATA, Decides.NAME)) | places

    return values(run) == values(config)


def _like(run: Config, config: Config) -> bool:
    names = [(one.dataset.name, one.freeze.name, one.head.name) for one in (run, config)]
    return names[0] == names[1] and _same_backbone(run, config) and run.image_size == config.image_size


def _same_backbone(run: Config, config: Config) -> bool:
    return run.backbone == config.backbone


def count_epochs(config: Config) -> int:
    """Return the epochs of all stages."""
    return sum(stage.epochs for stage in config.freeze.stages)


def _training_images(config: Config, counts: dict[str, int]) -> int:
    """Return how many images a run trains on, looked up once for each dataset."""
    key = repr((config.dataset, config.cv))
    if key not in counts:
        index = load_index(config.dataset, cache_directory(), config.cv)
        counts[key] = int((index.splits == "train").sum())
    return counts[key]
