"""The first screen of the page: who won, how far to trust it, what was compared, and where the runs are."""

from __future__ import annotations

import json
import os
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from headstart.comparison.analysis import Analysis
from headstart.comparison.collect import Run
from headstart.comparison.significance import BETTER, TIE
from headstart.comparison.strategies import Strategy, fold_of, seed_of
from headstart.comparison.table import percent
from headstart.core.console import count_of
from headstart.core.paths import outputs_directory
from headstart.tracking import run_link

ID_LENGTH = 8  # characters of a run id, enough for `headstart predict`
MAX_LISTED = 3  # different values of a fact


@dataclass(frozen=True)
class Figure:
    """A number of the winner, its name and what it needs beside it."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Fact:
    """Something about the comparison as a whole."""

    name: str
    text: str
    is_command: bool = False


@dataclass(frozen=True)
class RunLink:
    """Where a run is.

    Args:
        name: its seed and fold.
        directory: address relative to the page; None if the run is not on this machine.
        mlflow: address of its page in MLflow; None if it is not tracked.
    """

    name: str
    directory: str | None
    mlflow: str | None


@dataclass(frozen=True)
class Header:
    """The first screen.

    Args:
        figures: of the winner; none if no run finished.
        trust: what the result stands on, in phrases.
        facts: about the comparison.
        predict: the command that labels images with the winner; None if its classifier is not on this machine.
    """

    figures: tuple[Figure, ...]
    trust: tuple[str, ...]
    facts: tuple[Fact, ...]
    predict: str | None


def make_header(found: Analysis, now: datetime) -> Header:
    """Return the first screen.

    Args:
        found: by the comparison.
        now: the time of the comparison.
    """
    facts = _facts(found, now)
    if not found.strategies:
        return Header((), (), facts, None)
    first = found.rows[0]
    name = "test accuracy" if first.test else "validation accuracy"
    accuracy = first.test.mean if first.test else first.validation_accuracy
    interval = f"95 % interval {first.interval}" if first.test else "there are no test images"
    figures = (
        Figure(name, f"{percent(accuracy)} %", interval),
        _lead(found),
        Figure("seconds a run", first.time),
        Figure("size", f"{first.size} MB"),
    )
    return Header(figures, _trust(found), facts, predict_command(found.strategies[0]))


def run_links(strategy: Strategy, page: Path) -> list[RunLink]:
    """Return where the runs of a strategy are, without those that are nowhere to be found.

    Args:
        strategy: with its runs.
        page: directory of the page.
    """
    links = []
    for run in strategy.runs:
        here = (run.directory / "run.log").is_file()  # not among what is downloaded from a store
        directory = quote(Path(os.path.relpath(run.directory.absolute(), page.absolute())).as_posix()) if here else None
        folded = run.config is not None and run.config.cv.fold is not None
        name = f"seed {seed_of(run)}{f', fold {fold_of(run)}' if folded else ''}"
        links.append(RunLink(name, f"{directory}/" if directory else None, mlflow_page(run)))
    return [link for link in links if link.directory or link.mlflow]


def mlflow_page(run: Run) -> str | None:
    """Return the address of a run's page in MLflow; None if it is not tracked.

    Args:
        run: of any status.
    """
    results = run.results
    if not (results.run_id and results.experiment_id and results.tracking_uri):
        return None
    return run_link(results.tracking_uri, results.experiment_id, results.run_id)


def predict_command(strategy: Strategy) -> str | None:
    """Return the command that labels images with a strategy's best run by validation; None without its classifier.

    Args:
        strategy: with its runs.
    """
    saved = [run for run in strategy.runs if (run.directory / "classifier").is_dir()]
    if not saved:
        return None
    best = max(saved, key=lambda run: run.results.validation.accuracy if run.results.validation else -1.0)
    known = best.results.run_id and best.directory.absolute().is_relative_to(outputs_directory().absolute())
    name = str(best.results.run_id)[:ID_LENGTH] if known else shlex.quote(str(best.directory.absolute()))
    return f"headstart predict {name} IMAGE_OR_FOLDER"


def _lead(found: Analysis) -> Figure:
    """Return how far the winner is ahead of the next strategy by validation."""
    name = "lead over the next"
    if len(found.rivals) < 2:
        return Figure(name, "-", "no other strategy on these images")
    (_, first), (strategy, second) = found.rivals[:2]
    significance = second.significance
    if significance.difference is None:
        if first.validation_accuracy is None or second.validation_accuracy is None:
            return Figure(name, "-", f"over {strategy.label}")
        ahead = first.validation_accuracy - second.validation_accuracy
        return Figure(name, _points(ahead), f"on validation, over {strategy.label}; not tested")
    words = {TIE: "not significant", BETTER: "which is better on the test images"}.get(significance.outcome, "")
    tested = ", ".join(part for part in (words, second.p_value) if part)
    return Figure(name, _points(-significance.difference), f"over {strategy.label} ({tested})")


def _points(share: float) -> str:
    value = round(100 * share, 1) + 0.0
    return f"{value:+.1f} point{'' if abs(value) == 1 else 's'}"


def _trust(found: Analysis) -> tuple[str, ...]:
    """Return what the result stands on, in phrases."""
    rows = [row for _, row in found.rivals]
    phrases = [_range([row.seeds for row in rows], "seed")]
    folds = {row.folds for row in rows}
    phrases += [_range(sorted(folds), "fold")] if folds != {1} else []
    if rows[0].test_images:
        phrases.append(count_of(rows[0].test_images, "test image"))
    others = len(rows) - 1
    if others and rows[0].test:
        if others == 1:
            phrases.append("a tie with the other strategy" if found.ties else "no tie with the other strategy")
        else:
            phrases.append(f"{found.ties or 'none'} of {others} others {'ties' if found.ties == 1 else 'tie'} with it")
    sets = len({strategy.images for strategy in found.strategies})
    phrases += [f"{sets} sets of test images, each compared within itself"] if sets > 1 else []
    if found.failed:
        phrases.append(f"{count_of(len(found.failed), 'run')} did not finish")
    return tuple(phrases)


def _range(numbers: Sequence[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    return count_of(high, noun) if low == high else f"{low} to {count_of(high, noun)}"


def _facts(found: Analysis, now: datetime) -> tuple[Fact, ...]:
    """Return the data, the backbone, the time, the commit and the command."""
    runs = [run for strategy in found.strategies for run in strategy.runs]
    facts = [
        ("Data", _listed(_data(runs))),
        ("Backbone", _listed(_backbone(strategy) for strategy in found.strategies)),
        ("Compared", f"{now:%Y-%m-%d %H:%M}"),
        ("Commit", _listed(_commit(run) for run in runs)),
    ]
    made = [Fact(name, text) for name, text in facts if text]
    command = _command(runs)
    return (*made, Fact("Command", command, is_command=True)) if command else tuple(made)


def _listed(values: Iterable[str]) -> str:
    """Return the different values, the first ones if there are many."""
    found = [value for value in dict.fromkeys(values) if value]
    more = len(found) - MAX_LISTED
    return "; ".join(found[:MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")


def _data(runs: Sequence[Run]) -> list[str]:
    """Return the name of each data set with the numbers of images and classes."""
    training: dict[str, list[int]] = defaultdict(list)
    for run in runs:
        data = run.results.dataset
        if data is None:
            continue
        name = f"{data.name} {Path(data.root).name}" if data.root and data.name == "folder" else data.name
        others = ", ".join(f"{data.images[one]:,} {one}" for one in ("validation", "test") if one in data.images)
        rest = f"{others} images, {count_of(data.classes, 'class', 'classes')}, {data.image_size} px"
        training[f"{name}: {{}} training, {rest}"].append(data.images.get("train", 0))
    ranges = {text: sorted({min(found), max(found)}) for text, found in training.items()}
    return [text.format(" to ".join(f"{bound:,}" for bound in bounds)) for text, bounds in ranges.items()]


def _backbone(strategy: Strategy) -> str:
    backbone = strategy.config.backbone
    return f"{backbone.name} ({'random weights' if backbone.weights == 'none' else backbone.weights})"


def _commit(run: Run) -> str:
    """Return the commit of headstart; empty if unknown."""
    commit = (run.results.environment.commit if run.results.environment else None) or ""
    return " ".join(part[:12] for part in commit.split())


def _command(runs: Sequence[Run]) -> str | None:
    """Return the command of the sweep that all runs are jobs of, or of a single run; None of several."""
    if len(runs) == 1:
        return runs[0].results.command
    parents = {run.directory.parent for run in runs}
    record = parents.pop() / "sweep.json" if len(parents) == 1 else None
    if record is None or not record.is_file():
        return None
    return json.loads(record.read_text(encoding="utf-8")).get("command")
