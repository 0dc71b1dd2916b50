"""Plans a sweep without running it: which jobs are done, and how long and how large the others will be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.markup import escape

from headstart.config import Config
from headstart.config.identity import config_hash
from headstart.core.console import console, format_duration, new_table, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size
from headstart.results.file import RESULTS
from headstart.results.runs import readable_runs
from headstart.run.estimate import PastRun, count_epochs, estimate_from, past_runs
from headstart.run.preflight import check_configuration
from headstart.sweep.results import find_finished, finished_before


@dataclass(frozen=True)
class PlannedJob:
    """The state of a sweep's job, and what it will take."""

    label: str
    state: str  # done, failed before, interrupted, to run, or the reason why it will fail
    seconds: float | None  # estimated; None for a job that is done, or if no similar run has finished here
    source: str  # of the estimate
    bytes: float | None  # estimated size of its files


def plan_jobs(directory: Path, jobs: Sequence[tuple[str, Callable[[], Config]]]) -> list[PlannedJob]:
    """Return the state and the estimated cost of each job of a sweep.

    Args:
        directory: of the sweep; need not exist.
        jobs: the label of each job, and a function that returns its configuration.
    """
    past = past_runs()
    found = readable_runs(file.parent for file in directory.glob(f"*/{RESULTS}"))
    before = {results.config_hash: results.status for _, results in found}
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
    """Return the state and the estimated cost of one job."""
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
        return PlannedJob(label, state, None, "no similar run has finished here", None)
    return PlannedJob(label, state, found.seconds, found.source, found.bytes)


def print_plan(name: str, directory: Path, jobs: list[PlannedJob], at_once: int) -> None:
    """Print the plan of a sweep.

    Args:
        name: of the sweep.
        directory: of the sweep.
        jobs: see `plan_jobs`.
        at_once: number of jobs that run at the same time.
    """
    table = new_table(
        "job", "overrides", "state", "time", "estimated from", left=("overrides", "state", "estimated from")
    )
    for number, job in enumerate(jobs):
        takes = "" if job.state == "done" else "?" if job.seconds is None else format_duration(job.seconds)
        table.add_row(str(number), escape(job.label), escape(job.state), takes, job.source)
    print_titled(f"Plan of {name}", table)
    left = [job for job in jobs if job.state != "done"]
    known = [job for job in left if job.seconds is not None]
    text = f"{len(jobs) - len(left)} of {len(jobs)} jobs are done."
    if left and known:
        seconds = sum(job.seconds or 0.0 for job in known) / at_once
        size = sum(job.bytes or 0.0 for job in known)
        parallel = f", {at_once} at once" if at_once > 1 else ""
        which = "The others" if len(known) == len(left) else f"{len(known)} of the others"
        takes = format_duration(seconds)
        text += f" {which} take about {takes}{parallel}, and write {decimal(int(size))} besides the cache."
    if len(known) < len(left):
        text += f" {len(left) - len(known)} cannot be estimated until a similar run has finished."
    console.print(text, markup=False)
    console.print(f"Nothing was run. Without plan=true, the jobs write to {directory}", markup=False)


def _training_images(config: Config, counts: dict[str, int]) -> int:
    """Return the number of training images, counted once per data set."""
    key = repr((config.dataset, config.cv))
    if key not in counts:
        index = load_index(config.dataset, cache_directory(), config.cv)
        counts[key] = int((index.splits == "train").sum())
    return counts[key]
