"""What a sweep would do: its jobs, which are done, how long the others take and how much they write; nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from headstart.config import Config
from headstart.config.identity import config_hash
from headstart.core.console import console, duration, print_titled
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
    """A job of a sweep as it stands."""

    label: str
    state: str  # done, failed before, interrupted, to run, or what is wrong with it
    seconds: float | None  # that it will take; None where nothing like it has run here, and for what is done
    source: str  # what the seconds are known from
    bytes: float | None  # that it will write


def plan_jobs(directory: Path, jobs: Sequence[tuple[str, Callable[[], Config]]]) -> list[PlannedJob]:
    """Return what became and what will become of the jobs of a sweep.

    Args:
        directory: of the sweep; need not be there.
        jobs: the label of each job, and what resolves its configuration.
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


def _training_images(config: Config, counts: dict[str, int]) -> int:
    """Return how many images a run trains on, looked up once for each dataset."""
    key = repr((config.dataset, config.cv))
    if key not in counts:
        index = load_index(config.dataset, cache_directory(), config.cv)
        counts[key] = int((index.splits == "train").sum())
    return counts[key]
