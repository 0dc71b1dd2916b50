"""Finds the runs to compare by sweep, directory, MLflow run id or experiment, on this machine or in the store."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from headstart.comparison.collect import Run, is_run, read_run, read_runs
from headstart.config import TrackingConfig
from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory
from headstart.results.runs import find_run, unknown_run
from headstart.tracking import fetch_run, list_run_ids, store_uri

SHORTEST_ID = 4  # characters of an abbreviated run id
RUN_ID = re.compile(r"[0-9a-f]{32}")  # in a local store, which is asked for whole ids alone


def newest_sweep() -> Path:
    """Return the directory of the most recent sweep.

    Raises:
        HeadstartError: when there is no sweep.
    """
    sweeps = [path for path in (outputs_directory() / "sweeps").glob("*") if path.is_dir() and runs_directories(path)]
    if not sweeps:
        raise HeadstartError(
            f"There is no sweep in {outputs_directory() / 'sweeps'}. Name the runs to compare, or start a sweep, for "
            "example: headstart train -m freeze=all,last_block seed=0,1"
        )
    return max(sweeps, key=lambda path: max(run.stat().st_mtime for run in runs_directories(path)))


def runs_directories(directory: Path) -> list[Path]:
    """Return the run directories directly below a directory."""
    return [path for path in directory.iterdir() if path.is_dir() and is_run(path)]


def select_runs(names: Sequence[str], uri: str | None, fetched: Path) -> tuple[list[Run], Path | None]:
    """Return the named runs, and the sweep's directory if the only name is a sweep.

    Args:
        names: directories of sweeps or runs, names of sweeps, MLflow run ids or their first characters, `latest` or
            `best` (see `find_run`).
        uri: of the store to search for ids that are not on this machine; None is the local store.
        fetched: an empty directory for downloads from the store.

    Raises:
        HeadstartError: when a name is none of these.
    """
    runs: list[Run] = []
    sweep = None
    for name in names:
        directory = _directory(name)
        if directory is None:
            runs.append(_by_id(name, uri, fetched))
            continue
        found = read_runs(directory)
        if not found:
            raise HeadstartError(f"Expected runs below {directory}. Received: a directory without any")
        sweep = directory if len(names) == 1 and not is_run(directory) else None
        runs += found
    return list({str(run.directory.resolve()): run for run in runs}.values()), sweep


def select_experiment(name: str, uri: str | None, fetched: Path) -> list[Run]:
    """Return all runs of an MLflow experiment, downloading those that are not on this machine.

    Args:
        name: of the experiment.
        uri: of the store; None is the local store.
        fetched: an empty directory for downloads from the store.

    Raises:
        HeadstartError: when the experiment has no run.
    """
    here = [run for run in local_runs() if run.config and run.config.tracking.experiment == name]
    known = {run.results.run_id for run in here}
    address = uri or store_uri(TrackingConfig("local"))
    logged = [run_id for run_id in list_run_ids(address, name) if run_id not in known]
    runs = here + [read_run(fetch_run(address, run_id, fetched)) for run_id in logged]
    if not runs:
        raise HeadstartError(f"Expected an experiment with runs, on this machine or in {address}. Received: {name}")
    return runs


def local_runs() -> list[Run]:
    """Return every run in the outputs directory, failed ones included, oldest first."""
    paths = [*(outputs_directory() / "runs").glob("*"), *(outputs_directory() / "sweeps").glob("*/*")]
    found = [path for path in paths if path.is_dir() and is_run(path)]
    return [read_run(path) for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def _directory(name: str) -> Path | None:
    """Return the directory of that path or run, or of the sweep with that name or parent run id; None if none."""
    sweeps = outputs_directory() / "sweeps"
    for directory in (Path(name), sweeps / name):
        if directory.is_dir():
            return directory
    if name in ("latest", "best"):
        return find_run(name)
    for file in sweeps.glob("*/sweep.json") if len(name) >= SHORTEST_ID else ():
        if str(json.loads(file.read_text(encoding="utf-8")).get("parent_run_id")).startswith(name):
            return file.parent
    return None


def _by_id(name: str, uri: str | None, fetched: Path) -> Run:
    fitting = [run for run in local_runs() if len(name) >= SHORTEST_ID and str(run.results.run_id).startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        raise HeadstartError(f"Expected the id of one run. Received: {name}, which {len(fitting)} ids begin with")
    if os.sep in name or (uri is None and not RUN_ID.fullmatch(name)):  # the store need not be asked
        known = [str(run.results.run_id) for run in local_runs() if run.results.finished]
        raise unknown_run(name, f"{name} (no such directory, sweep or run)", known)
    return read_run(fetch_run(uri or store_uri(TrackingConfig("local")), name, fetched))
