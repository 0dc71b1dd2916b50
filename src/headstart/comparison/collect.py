"""Reading what runs left: configuration, results, the right and wrong predictions, the epochs."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.config import Config, from_yaml
from headstart.core.errors import HeadstartError
from headstart.results.file import RESULTS, load_results
from headstart.results.runs import name_of_run
from headstart.results.types import RunResults


@dataclass(frozen=True, eq=False)
class Predictions:
    """A run's predictions for one split, sorted by path."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]  # true classes, by name
    predicted: tuple[str, ...]
    confidence: np.ndarray  # float (images,) of the predicted class
    correct: np.ndarray  # bool (images,)


@dataclass(frozen=True, eq=False)
class Run:
    """One run, as its directory holds it.

    Args:
        directory: with config.yaml and results.json, and of a finished run predictions.csv and history.csv.
        results: of results.json; empty ones if there is none.
        config: the resolved configuration; None if it cannot be read.
        error: the first line of what went wrong; None if nothing did.
    """

    directory: Path
    results: RunResults
    config: Config | None
    error: str | None = None

    @property
    def name(self) -> str:
        """Its name, as in MLflow."""
        return name_of_run(self.results, self.config) if self.config else self.results.name or self.directory.name

    @property
    def status(self) -> str:
        """FINISHED, FAILED, KILLED, RUNNING or UNFINISHED."""
        return self.results.status

    @cached_property
    def test(self) -> Predictions | None:
        """The predictions for the test images; None if the run has no test split."""
        return read_predictions(self.directory / "predictions.csv", "test")

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the outputs."""
        with _table(self.directory / "predictions.csv") as rows:
            return tuple(name.removeprefix("probability_") for name in next(rows)[6:])

    @cached_property
    def images(self) -> dict[str, str]:
        """Digests of the test images (`test`) and of the images of all splits together (`all`)."""
        whole, tested = [], []
        with _table(self.directory / "splits.csv") as rows:
            next(rows)
            for path, label, split, digest in rows:
                whole.append((path, label, digest))
                if split == "test":
                    tested.append((path, label, digest))
        return {"test": _digest(tested), "all": _digest(whole)}

    @cached_property
    def validation_by_epoch(self) -> dict[int, float]:
        """Validation accuracy by the number of the epoch, counted over all stages."""
        with _table(self.directory / "history.csv") as rows:
            columns = next(rows)
            epoch, accuracy = columns.index("epoch"), columns.index("validation_accuracy")
            return {int(row[epoch]): float(row[accuracy]) for row in rows}

    @property
    def bytes(self) -> int | None:
        """Size of the saved model; None if unknown."""
        file = self.directory / "classifier" / "model.keras"
        return file.stat().st_size if file.is_file() else self.results.model_bytes


def read_run(directory: Path) -> Run:
    """Return the run in a directory, whatever its status.

    Args:
        directory: with results.json, config.yaml, or both.

    Raises:
        HeadstartError: when the directory has neither file.
    """
    results_file, config_file = directory / RESULTS, directory / "config.yaml"
    if not results_file.is_file() and not config_file.is_file():
        raise HeadstartError(f"Expected a run's directory, with results.json or config.yaml. Received: {directory}")
    results = RunResults(run_id=None)
    config, error = None, None
    try:
        if results_file.is_file():
            results = load_results(results_file)
        if config_file.is_file():
            config = from_yaml(config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, HeadstartError) as problem:  # a truncated file, or another version of headstart
        error = str(problem)
    if error is None and not results.finished:
        error = results.error or _without_error(results.status)
    if error is None and results.splits is not None:
        absent = [name for name in ("predictions.csv", "splits.csv", "history.csv") if not (directory / name).is_file()]
        error = f"{', '.join(absent)} is missing" if absent else None
    return Run(directory, results, config, error.strip().splitlines()[0] if error else None)


def read_runs(directory: Path) -> list[Run]:
    """Return the run in a directory, or the runs directly below it, as in a sweep, in natural order."""
    from headstart.data.index import natural_key

    if is_run(directory):
        return [read_run(directory)]
    below = [path for path in directory.iterdir() if path.is_dir() and is_run(path)]
    return [read_run(path) for path in sorted(below, key=lambda path: natural_key(path.name))]


def is_run(directory: Path) -> bool:
    """Return whether a directory belongs to a run."""
    return (directory / RESULTS).is_file() or (directory / "config.yaml").is_file()


def read_predictions(file: Path, split: str) -> Predictions | None:
    """Return the predictions for one split from a run's predictions.csv; None if it has none.

    Args:
        file: its first columns are path, split, label, predicted, correct, confidence.
        split: `validation` or `test`.
    """
    with _table(file) as rows:
        next(rows)
        found = sorted(tuple(row[:6]) for row in rows if row[1] == split)
    if not found:
        return None
    paths, _, labels, predicted, correct, confidence = zip(*found, strict=True)
    return Predictions(
        paths, labels, predicted, np.array(confidence, dtype=np.float64), np.array([value == "1" for value in correct])
    )


@contextlib.contextmanager
def _table(file: Path) -> Iterator[Iterator[list[str]]]:
    """Yield the rows of a CSV file, keeping file names in other encodings unchanged."""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
        yield csv.reader(text)


def _digest(rows: Iterable[tuple[str, ...]]) -> str:
    return hashlib.sha256("\n".join(map(json.dumps, sorted(rows))).encode()).hexdigest()


def _without_error(status: str) -> str:
    return "interrupted" if status == "KILLED" else "no results: still running, or killed"
