"""Running what a finished run stored once more, and telling whether it comes out the same."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from headstart.config import Config, from_yaml
from headstart.config.fields import Decides, what_decides, with_given
from headstart.core.console import console, print_titled
from headstart.core.environment import differences
from headstart.core.errors import HeadstartError, printable
from headstart.core.files import atomic_directory
from headstart.core.paths import absolute
from headstart.results.runs import find_run, read_results

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex

# Directory within the run's own, with what is compared of the original; not named as in a run, which it is none of.
ORIGINAL = "reproduced"
RESULTS, SPLITS = "original_results.json", "original_splits.csv"
KEPT = {"results.json": RESULTS, "splits.csv": SPLITS}
MAY_DIFFER = (Decides.LOCATION, Decides.NOTHING)  # what keys decide that a command may give beside `reproduce`
FIGURES = ("splits", "stages", "pictures", "best_epoch")  # of results.json
AGREES_WITHIN = 1e-3  # absolute, of every figure: less than an image in a thousand
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "log_loss": "log loss"}


def configuration_to_reproduce(
    asked: Config, overrides: list[str], output: Path, launched_in: Path | None = None
) -> tuple[Config, list[str]]:
    """Return the stored configuration of the run that `reproduce` names, and what its command line said.

    What is needed of that run is copied into the new one's directory, which so stands for itself.

    Args:
        asked: the configuration that this command composed.
        overrides: of this command.
        output: directory of the new run.
        launched_in: what a relative directory is relative to; None is the working directory.

    Raises:
        HeadstartError: when there is no such run, it is not finished, or the command asks for something else as well.
    """
    name = next(text.partition("=")[2].strip("'\"") for text in overrides if text.startswith("reproduce="))
    given = [_key(text) for text in overrides if _key(text) != "reproduce"]
    others = [text for text in overrides if _key(text) in given and what_decides(Config, _key(text)) not in MAY_DIFFER]
    if others:
        raise HeadstartError(
            f"Expected reproduce={name} alone or with where data and runs are (dataset.root, dataset.csv, tracking) "
            "and how the work is done (cache, engine, checkpoint_seconds, time_limit), as a run that is reproduced "
            f"keeps its configuration. Received: {' '.join(others)}"
        )
    with tempfile.TemporaryDirectory() as temporary:
        place = absolute(name, launched_in)
        found = place if place.is_dir() else _find(name, asked, Path(temporary))
        results = read_results(found) or {}
        absent = [file for file in ("config.yaml", *KEPT) if not (found / file).is_file()]
        if results.get("status") != "FINISHED" or "splits" not in results or absent:
            why = f"without {', '.join(absent)}" if absent else f"which is {results.get('status', 'no run')}"
            raise HeadstartError(f"Expected a finished run that evaluated a classifier. Received: {found}, {why}")
        stored = from_yaml((found / "config.yaml").read_text(encoding="utf-8"))
        with atomic_directory(output / ORIGINAL) as original:
            for file, name_here in KEPT.items():
                shutil.copyfile(found / file, original / name_here)
    given += ["checkpoint_seconds", "time_limit", "device"]  # as this command has them, said or not
    config = with_given(stored, asked, given, MAY_DIFFER)
    config = dataclasses.replace(config, resume=None, reproduce=results.get("run_id") or name)
    return config, results.get("overrides", [])


def report_differences(output: Path, index: ImageIndex, environment: dict[str, Any]) -> list[str]:
    """Print what is not as it was when the original ran, before anything is trained, and return it.

    Args:
        output: directory of the new run.
        index: its images.
        environment: see `describe_environment`.

    Raises:
        HeadstartError: when the images are others, or in other splits.
    """
    original = _original(output)
    _expect_same_images(output / ORIGINAL, original, index)
    changed = differences(original["environment"], environment)
    name = _name(original)
    console.print(f"\n[bold]Reproducing {name}[/]  {original['output']}", soft_wrap=True)
    console.print(f"  the same images (fingerprint {index.fingerprint[:16]})")
    for phrase in changed or ["the same commit, versions and machine"]:
        console.print(f"  {phrase}", markup=False, soft_wrap=True)
    return changed


def compare_with_original(output: Path, results: dict[str, Any], changed: list[str]) -> dict[str, Any]:
    """Return what `results.json` says of the comparison with the run that was reproduced.

    Args:
        output: directory of the new run.
        results: its figures.
        changed: what `report_differences` returned.
    """
    original = _original(output)
    then, now = _figures(original), _figures(results)
    gaps = {key: abs(then[key] - now[key]) if key in now else float("inf") for key in then}
    worst = max(gaps, key=lambda key: gaps[key])
    verdict = "identical" if not gaps[worst] else "agrees" if gaps[worst] <= AGREES_WITHIN else "differs"
    return {
        "run_id": original["run_id"],
        "verdict": verdict,
        "figures": len(then),
        "differing_figures": sum(gap > 0 for gap in gaps.values()),
        "largest_difference": {
            "figure": worst,
            "then": then[worst],
            "now": now.get(worst),
        },
        "changed": changed,
        "then": {split: {key: figures.get(key) for key in SHOWN} for split, figures in original["splits"].items()},
    }


def sentence(reproduces: dict[str, Any]) -> str:
    """Return in a sentence whether a run came out the same.

    Args:
        reproduces: see `compare_with_original`.
    """
    count, worst, name = reproduces["figures"], reproduces["largest_difference"], _name(reproduces)
    if reproduces["verdict"] == "identical":
        return f"Reproduced: all {count:,} figures are those of {name}, to the last digit."
    said = (
        f"{reproduces['differing_figures']:,} of {count:,} figures are not those of {name}; "
        f"most of all {worst['figure']}: {worst['then']:g} then, {worst['now']} now"
    )
    if reproduces["verdict"] == "agrees":
        return f"Reproduced within {AGREES_WITHIN:g}: {said}."
    why = "; ".join(reproduces["changed"]) or "commit, versions and machine are the same: see deterministic"
    return f"Not reproduced: {said} ({why})."


def print_comparison(results: dict[str, Any]) -> None:
    """Print the figures of every split then and now, and whether they agree.

    Args:
        results: what `results.json` says.
    """
    reproduces = results["reproduces"]
    table = Table()
    table.add_column("split")
    for title in SHOWN.values():
        table.add_column(f"{title}\nthen", justify="right")
        table.add_column("\nnow", justify="right")
    for split, then in reproduces["then"].items():
        now = results["splits"].get(split, {})
        cells = [f"{figures[key]:.6f}" if key in figures else "" for key in SHOWN for figures in (then, now)]
        table.add_row(split, *cells)
    if reproduces["then"]:
        print_titled(f"Compared with {_name(reproduces)}", table)
    console.print(f"  {sentence(reproduces)}", markup=False, soft_wrap=True)


def _find(name: str, asked: Config, temporary: Path) -> Path:
    """Return the directory of the run, or what the tracking store kept of it."""
    try:
        return find_run(name)
    except HeadstartError:
        if not re.fullmatch(r"[0-9a-f]{32}", name):
            raise
        from headstart.tracking import fetch_run, store_uri

        return fetch_run(store_uri(asked.tracking), name, temporary)


def _original(output: Path) -> dict[str, Any]:
    """Return the results of the run that is reproduced."""
    return json.loads((output / ORIGINAL / RESULTS).read_text(encoding="utf-8"))


def _expect_same_images(original: Path, results: dict[str, Any], index: ImageIndex) -> None:
    """Raise where the images are not those of the original, with what is different."""
    then = results["dataset"]["fingerprint"]
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
        "of other content": [path for path in both if old[path]["digest"] != new[path]["digest"]],
        "of another class": [path for path in both if old[path]["label"] != new[path]["label"]],
        "in another split": [path for path in both if old[path]["split"] != new[path]["split"]],
    }
    told = ", ".join(f"{len(paths):,} {what} ({_some(paths)})" for what, paths in found.items() if paths)
    raise HeadstartError(
        f"Expected the {len(old):,} images of {_name(results)} (fingerprint {then[:12]}). Received: others "
        f"({index.fingerprint[:12]}) in {index.root}: {told}. Nothing was trained; the same configuration on these "
        f"images: {shlex.join(['python', 'run.py', *results.get('overrides', [])])}"
    )


def _some(paths: list[str]) -> str:
    from headstart.data.index import first_few

    return printable(first_few(paths, 2))


def _figures(results: dict[str, Any]) -> dict[str, float]:
    """Return every number that tells how good the classifier is, under a dotted key; seconds are not among them."""
    from headstart.tracking import flatten

    flat = flatten({key: results[key] for key in FIGURES if key in results})
    return {key: value for key, value in flat.items() if isinstance(value, (int, float)) and "seconds" not in key}


def _name(results: dict[str, Any]) -> str:
    return f"run {str(results.get('run_id') or 'without an id')[:8]}"


def _key(override: str) -> str:
    """Return the key of an override, without what says that it is added or removed."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]
