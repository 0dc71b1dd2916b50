"""Run the stored configuration of a finished run again, and compare the figures."""

from __future__ import annotations

import csv
import dataclasses
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.config import Config, drop_overrides, find_override_value, from_yaml, override_key
from headstart.config.fields import Decides
from headstart.config.keys import effect_of, keys_of, override_values
from headstart.core.console import console, new_table, print_titled
from headstart.core.errors import HeadstartError, printable
from headstart.core.files import atomic_directory
from headstart.core.paths import absolute
from headstart.results.codec import to_plain
from headstart.results.figures import SplitResults
from headstart.results.file import load_results, read_results
from headstart.results.runs import find_run
from headstart.results.sections import Environment, FigureChange, OriginalFigures, Reproduction
from headstart.results.types import RunResults
from headstart.run.environment import environment_changes

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex

# Directory in the new run's directory with the original's files, renamed so that it does not look like a run.
ORIGINAL = "reproduced"
RESULTS, SPLITS = "original_results.json", "original_splits.csv"
KEPT = {"results.json": RESULTS, "splits.csv": SPLITS}
MAY_DIFFER = (Decides.LOCATION, Decides.NOTHING)  # keys that a command may set besides `reproduce`
AGREES_WITHIN = 1e-3  # largest absolute difference of a figure
SHOWN = ("accuracy", "macro F1", "log loss")  # columns of the table


def configuration_to_reproduce(
    asked: Config, overrides: list[str], output: Path, launched_in: Path | None = None
) -> tuple[Config, list[str]]:
    """Return the stored configuration and overrides of the run that `reproduce` names.

    Copies the files that the comparison needs to the new run's directory, which then does not depend on the original.

    Args:
        asked: the configuration that this command composed.
        overrides: overrides of this command.
        output: directory of the new run.
        launched_in: base of a relative directory; None: the working directory.

    Raises:
        HeadstartError: when there is no such run, it is not finished, or the command overrides its configuration.
    """
    name, beside = str(find_override_value(overrides, "reproduce")), drop_overrides(overrides, ["reproduce"])
    given = [override_key(text) for text in beside]
    others = [text for text, key in zip(beside, given, strict=True) if effect_of(Config, key) not in MAY_DIFFER]
    if others:
        raise HeadstartError(
            f"Expected reproduce={name} alone or with locations (dataset.root, dataset.csv, tracking) and execution "
            "settings (cache, inference_backend, checkpoint_seconds, time_limit), because a reproduction keeps the "
            f"original configuration. Received: {' '.join(others)}"
        )
    with tempfile.TemporaryDirectory() as temporary:
        place = absolute(name, launched_in)
        found = place if place.is_dir() else _find(name, asked, Path(temporary))
        results = read_results(found)
        absent = [file for file in ("config.yaml", *KEPT) if not (found / file).is_file()]
        if results is None or not results.finished or results.splits is None or absent:
            why = f"without {', '.join(absent)}" if absent else f"which is {results.status if results else 'no run'}"
            raise HeadstartError(f"Expected a finished run that evaluated a classifier. Received: {found}, {why}")
        stored = from_yaml((found / "config.yaml").read_text(encoding="utf-8"))
        with atomic_directory(output / ORIGINAL) as original:
            for file, name_here in KEPT.items():
                shutil.copyfile(found / file, original / name_here)
    given += [key.name for key in keys_of(Config) if key.field.metadata.get("of_command")]
    config = override_values(stored, asked, given, MAY_DIFFER)
    config = dataclasses.replace(config, resume=None, reproduce=results.run_id or name)
    return config, list(results.overrides or ())


def report_differences(output: Path, index: ImageIndex, environment: Environment) -> list[str]:
    """Print and return the changes since the original run, before training.

    Args:
        output: directory of the new run.
        index: images of the new run.
        environment: environment of the new run.

    Raises:
        HeadstartError: when the images or their splits differ.
    """
    original = _original(output)
    _expect_same_images(output / ORIGINAL, original, index)
    changed = environment_changes(original.environment, environment) if original.environment else []
    name = _name(original.run_id)
    console.print(f"\n[bold]Reproducing {name}[/]  {original.output}")
    console.print(f"  same images (fingerprint {index.fingerprint[:16]})")
    for phrase in changed or ["same commit, versions and machine"]:
        console.print(f"  {phrase}", markup=False)
    return changed


def compare_with_original(output: Path, results: RunResults, changed: list[str]) -> Reproduction:
    """Return the comparison with the original run.

    Args:
        output: directory of the new run.
        results: results of the new run.
        changed: result of `report_differences`.
    """
    original = _original(output)
    then, now = _figures(original), _figures(results)
    gaps = {key: abs(then[key] - now[key]) if key in now else float("inf") for key in then}
    worst = max(gaps, key=lambda key: gaps[key])
    verdict = "identical" if not gaps[worst] else "agrees" if gaps[worst] <= AGREES_WITHIN else "differs"
    return Reproduction(
        run_id=original.run_id,
        verdict=verdict,
        figures=len(then),
        differing_figures=sum(gap > 0 for gap in gaps.values()),
        largest_difference=FigureChange(figure=worst, then=then[worst], now=now.get(worst)),
        changed=tuple(changed),
        then={split: _main_figures(found) for split, found in (original.splits or {}).items()},
    )


def _main_figures(split: SplitResults) -> OriginalFigures:
    return OriginalFigures(accuracy=split.accuracy, macro_f1=split.macro_f1, log_loss=split.log_loss)


def describe_reproduction(reproduces: Reproduction) -> str:
    """Return the outcome of a reproduction in one sentence.

    Args:
        reproduces: the comparison.
    """
    count, worst, name = reproduces.figures, reproduces.largest_difference, _name(reproduces.run_id)
    if reproduces.verdict == "identical":
        return f"Reproduced: all {count:,} figures are identical to those of {name}."
    difference = (
        f"{reproduces.differing_figures:,} of {count:,} figures differ from {name}, "
        f"most {worst.figure}: {worst.then:g} then, {worst.now} now"
    )
    if reproduces.verdict == "agrees":
        return f"Reproduced within {AGREES_WITHIN:g}: {difference}."
    why = "; ".join(reproduces.changed) or "same commit, versions and machine: see deterministic"
    return f"Not reproduced: {difference} ({why})."


def print_comparison(results: RunResults, reproduces: Reproduction) -> None:
    """Print the figures of every split in both runs, and whether they agree.

    Args:
        results: results of the new run.
        reproduces: the comparison with the original.
    """
    table = new_table("split", *(f"{title} {when}" for title in SHOWN for when in ("then", "now")))
    for split, then in reproduces.then.items():
        now = (results.splits or {}).get(split)
        both = [
            (then.accuracy, now.accuracy if now else None),
            (then.macro_f1, now.macro_f1 if now else None),
            (then.log_loss, now.log_loss if now else None),
        ]
        table.add_row(split, *("" if value is None else f"{value:.6f}" for pair in both for value in pair))
    if reproduces.then:
        print_titled(f"Compared with {_name(reproduces.run_id)}", table)
    console.print(f"  {describe_reproduction(reproduces)}", markup=False)


def _find(name: str, asked: Config, temporary: Path) -> Path:
    """Return the directory of the run, or a copy of its files from the tracking store."""
    try:
        return find_run(name)
    except HeadstartError:
        if not re.fullmatch(r"[0-9a-f]{32}", name):
            raise
        from headstart.tracking import fetch_run, store_uri

        return fetch_run(store_uri(asked.tracking), name, temporary)


def _original(output: Path) -> RunResults:
    """Return the results of the original run."""
    return load_results(output / ORIGINAL / RESULTS)


def _expect_same_images(original: Path, results: RunResults, index: ImageIndex) -> None:
    """Raise if the images are not those of the original run, naming the differences."""
    then = str(results.fingerprint)
    if index.fingerprint == then:
        return
    with (original / SPLITS).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        old = {row["path"]: row for row in csv.DictReader(file)}
    names = [index.class_names[label] for label in index.labels]
    new = {
        path: {"label": label, "split": split, "digest": digest}
        for path, label, split, digest in zip(index.paths, names, index.splits.tolist(), index.digests, strict=True)
    }
    both = sorted(old.keys() & new.keys())
    found = {
        "gone": sorted(old.keys() - new.keys()),
        "new": sorted(new.keys() - old.keys()),
        "with changed content": [path for path in both if old[path]["digest"] != new[path]["digest"]],
        "in another class": [path for path in both if old[path]["label"] != new[path]["label"]],
        "in another split": [path for path in both if old[path]["split"] != new[path]["split"]],
    }
    differences = ", ".join(f"{len(paths):,} {what} ({_some(paths)})" for what, paths in found.items() if paths)
    raise HeadstartError(
        f"Expected the {len(old):,} images of {_name(results.run_id)} (fingerprint {then[:12]}). Received: others "
        f"({index.fingerprint[:12]}) in {index.root}: {differences}. Nothing was trained. To train the same "
        f"configuration on these images: {shlex.join(['headstart', 'train', *(results.overrides or ())])}"
    )


def _some(paths: list[str]) -> str:
    from headstart.data.index import first_few

    return printable(first_few(paths, 2))


def _figures(results: RunResults) -> dict[str, float]:
    """Return every figure of the classifier's quality by dotted key, without durations."""
    from headstart.tracking import flatten

    sections = {
        "splits": results.splits,
        "stages": results.stages,
        "pictures": results.pictures,
        "best_epoch": results.best_epoch,
    }
    flat = flatten(to_plain({key: section for key, section in sections.items() if section is not None}))
    return {key: value for key, value in flat.items() if isinstance(value, (int, float)) and "seconds" not in key}


def _name(run_id: str | None) -> str:
    return f"run {(run_id or 'without an id')[:8]}"
