"""Find earlier runs by directory, by run id, or as the latest or best one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from headstart.config import Config
from headstart.config.identity import run_name
from headstart.core.console import console
from headstart.core.errors import HeadstartError, did_you_mean
from headstart.core.paths import outputs_directory, tip_for_missing
from headstart.results.file import RESULTS, read_results
from headstart.results.types import RunResults
from headstart.results.upgrade import NewerSchemaError

RUNNING = "running.json"  # in the directory of a run that is in progress
CHECKPOINT = "checkpoint.npz"  # in the directory of an unfinished run whose training has begun
FoundRun = tuple[Path, RunResults]  # a run's directory and results


def is_finished(directory: Path) -> bool:
    """Return whether a directory holds a finished run.

    Args:
        directory: of a run; need not exist.

    Raises:
        NewerSchemaError: when a newer version of headstart wrote its results.
    """
    results = read_results(directory)
    return results is not None and results.finished


def name_of_run(results: RunResults, config: Config) -> str:
    """Return the name of a run, as in MLflow; earlier versions did not store it.

    Args:
        results: of the run.
        config: its resolved configuration.
    """
    return results.name or run_name(config)


def objective(results: RunResults, wanted: str) -> float | tuple[float, float] | None:
    """Return the value that a sweeper optimizes; None if no accuracy on validation images is known.

    Args:
        results: of the run.
        wanted: `accuracy`, or `accuracy_and_seconds` for both.
    """
    if results.validation is None:
        return None
    if wanted == "accuracy" or results.seconds is None:
        return results.validation.accuracy
    return results.validation.accuracy, results.seconds.total


def readable_runs(directories: Iterable[Path], name: str = RESULTS) -> list[FoundRun]:
    """Return the runs whose results can be read; print how many a newer headstart wrote.

    Args:
        directories: directories of runs.
        name: name of the file with the results.
    """
    found: list[FoundRun] = []
    newer: list[NewerSchemaError] = []
    for directory in directories:
        try:
            results = read_results(directory, name)
        except NewerSchemaError as error:
            newer.append(error)
        else:
            found += [(directory, results)] if results is not None else []
    if newer:
        console.print(f"  Warning: {len(newer)} runs are left out. {newer[0]}", markup=False)
    return found


def finished_runs(outputs: Path | None = None) -> list[FoundRun]:
    """Return the finished runs in the outputs directory, oldest first.

    Args:
        outputs: directory to search; None: the outputs directory.
    """
    files = (outputs or outputs_directory()).glob(f"*/**/{RESULTS}")
    # A tracking store among the outputs keeps copies.
    runs = readable_runs(file.parent for file in files if file.parent.name != "artifacts")
    finished = [run for run in runs if run[1].finished and run[1].run_id]
    return sorted(finished, key=lambda run: (run[0] / RESULTS).stat().st_mtime)


def find_run(name: str) -> Path:
    """Return the directory of a run.

    Args:
        name: a directory, an MLflow run id or its beginning (at least 4 characters), `latest`, or `best`: the run with
            the highest validation accuracy among those on the same images as the latest one. The test split is not
            used for selection, so that its figures stay unbiased.

    Raises:
        HeadstartError: when no run or more than one matches.
    """
    if Path(name).is_dir():
        return Path(name)
    runs = finished_runs()
    if name == "latest" and runs:
        return runs[-1][0]
    if name == "best" and runs:
        return _best(runs)
    fitting = runs_with_id(name, runs)
    if len(fitting) == 1:
        return fitting[0]
    problem = "several run ids begin with it" if fitting else "no such directory or run"
    raise unknown_run(name, f"{name} ({problem})", [str(results.run_id) for _, results in runs])


def unknown_run(name: str, received: str, known: Sequence[str]) -> HeadstartError:
    """Return the error for a name that is no run's.

    Args:
        name: see `find_run`.
        received: the name and what is wrong with it.
        known: ids of the finished runs, oldest first.
    """
    expected = f"Expected a run's directory, an MLflow run id, latest or best. Received: {received}"
    if os.sep in name:
        return HeadstartError(expected, tip_for_missing(Path(name)))
    newest = ", ".join(run_id[:8] for run_id in known[-5:])
    listed = f"the last finished runs are {newest}" if known else f"no run has finished in {outputs_directory()}"
    return HeadstartError(expected, did_you_mean(name, ["latest", "best"] if known else []) or listed)


def runs_with_id(name: str, runs: Iterable[FoundRun]) -> list[Path]:
    """Return the directories of the runs whose MLflow id is a name or begins with it.

    Args:
        name: matches nothing with less than 4 characters.
        runs: directories and results.
    """
    return [directory for directory, known in runs if len(name) >= 4 and (known.run_id or "").startswith(name)]


def _best(runs: list[FoundRun]) -> Path:
    """Return the best of the runs on the latest one's images: by validation accuracy, ties by the lower loss."""

    def rank(run: FoundRun) -> tuple[float, float]:
        validation = run[1].validation
        return (validation.accuracy, -validation.log_loss) if validation else (-1.0, 0.0)

    images = runs[-1][1].fingerprint
    return max((run for run in runs if run[1].fingerprint == images), key=rank)[0]
