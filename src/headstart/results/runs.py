"""Finding what earlier runs left behind: by directory, by run id, as the latest one or the best one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headstart.core.errors import HeadstartError
from headstart.core.paths import outputs_directory

RUNNING = "running.json"  # in the directory of a run that is under way
CHECKPOINT = "checkpoint.npz"  # in the directory of a run whose training began and that is not finished


def read_results(directory: Path) -> dict[str, Any] | None:
    """Return what a run's results.json says, None where there is none that can be read.

    Args:
        directory: of the run.
    """
    try:
        results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # being written by somebody's own tool, or not headstart's: not a run
        return None
    return results if isinstance(results, dict) else None


def is_finished(directory: Path) -> bool:
    """Return whether a directory holds a finished run.

    Args:
        directory: of a run; need not be there.
    """
    return (read_results(directory) or {}).get("status") == "FINISHED"


def objective(results: dict[str, Any], wanted: str) -> float | tuple[float, float] | None:
    """Return what a sweeper is told of a run, None where no accuracy on validation images is known.

    Args:
        results: of the run.
        wanted: `accuracy`, or `accuracy_and_seconds` for both.
    """
    accuracy = results.get("splits", {}).get("validation", {}).get("accuracy")
    if accuracy is None or wanted == "accuracy":
        return accuracy
    return accuracy, results["seconds"]["total"]


def finished_runs(outputs: Path | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """Return the directories below the outputs that hold a finished run, with their results, oldest first.

    Args:
        outputs: where to look; None is headstart's own outputs.
    """
    found = []
    for file in (outputs or outputs_directory()).glob("*/**/results.json"):
        if file.parent.name == "artifacts":  # the copy that a tracking store among the outputs keeps
            continue
        results = read_results(file.parent)
        if results and results.get("status") == "FINISHED" and results.get("run_id"):
            found.append((file.parent, results))
    return sorted(found, key=lambda run: (run[0] / "results.json").stat().st_mtime)


def find_run(name: str) -> Path:
    """Return the directory of a run.

    Args:
        name: a directory, an MLflow run id or its beginning (at least 4 characters), `latest`, or `best`: of the runs
            on the same images as the latest one, that with the highest validation accuracy. The test split chooses
            nothing, so that its figure stays honest.

    Raises:
        HeadstartError: when nothing or more than one run fits.
    """
    if Path(name).is_dir():
        return Path(name)
    runs = finished_runs()
    if name == "latest" and runs:
        return runs[-1][0]
    if name == "best" and runs:
        return _best(runs)
    fitting = with_id(name, runs)
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(str(results["run_id"])[:8] for _, results in runs[-5:]) or "none yet"
    problem = "several runs begin so" if fitting else "no such directory or run"
    raise HeadstartError(
        f"Expected a run's directory, an MLflow run id, latest or best. Received: {name} ({problem}); "
        f"the last finished runs under {outputs_directory()} are {known}"
    )


def with_id(name: str, runs: list[tuple[Path, dict[str, Any]]]) -> list[Path]:
    """Return the directories of the runs whose MLflow id is a name, or begins so.

    Args:
        name: fits nothing with less than 4 characters.
        runs: directories, and what is known of each.
    """
    return [directory for directory, known in runs if len(name) >= 4 and str(known.get("run_id", "")).startswith(name)]


def _best(runs: list[tuple[Path, dict[str, Any]]]) -> Path:
    """Return the best of the runs on the latest one's images: by validation accuracy, ties by the lower loss."""

    def images(results: dict[str, Any]) -> str | None:
        return results.get("dataset", {}).get("fingerprint")

    def rank(run: tuple[Path, dict[str, Any]]) -> tuple[float, float]:
        validation = run[1].get("splits", {}).get("validation", {})
        return validation.get("accuracy", -1.0), -validation.get("log_loss", 0.0)

    return max((run for run in runs if images(run[1]) == images(runs[-1][1])), key=rank)[0]
