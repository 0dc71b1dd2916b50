"""The model registry: a version for a run's classifier, and the alias of the best one.

The alias moves only to a classifier that a paired test on the same validation images shows to be better, so that it
does not follow chance.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.console import format_percent
from headstart.results.sections import Registration
from headstart.tracking.datasets import validation_fingerprint

ABOUT = (
    "Image classifiers that headstart trained and registered under this name. The alias `champion` moves only to a "
    "version that is better on the same validation images by a paired test."
)
CHAMPION = "champion"  # alias of the best version
MODEL_VERSIONS = "mlflow.modelVersions"  # tag of a logged model
PREDICTIONS = "predictions.csv"


def register(client: Any, name: str, model: Any, run: Any, predictions: Path) -> Registration:
    """Register a logged model, and move the alias to it if it is better; calling it twice changes nothing.

    Args:
        client: `mlflow.MlflowClient` of the store.
        name: of the registered model; created if necessary.
        model: `mlflow.entities.LoggedModel` to register.
        run: `mlflow.entities.Run` that the model belongs to.
        predictions: predictions.csv of the run.
    """
    _create(client, name)
    champion = _champion(client, name)
    if champion is None:
        verdict = Verdict(True, "it is the first version")
    elif champion.run_id == run.info.run_id:
        verdict = Verdict(True, "it already was")
    else:
        verdict = _judge(client, champion, run, predictions)
    version = _version(client, name, model, run, f"{_figures(run)}{_sentence(verdict)}")
    link = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(model.model_id, {MODEL_VERSIONS: link})  # which MLflow shows beside the model
    if verdict.better:
        client.set_registered_model_alias(name, CHAMPION, version.version)
    return Registration(name=name, version=int(version.version), champion=verdict.better, reason=verdict.reason)


@dataclass(frozen=True)
class Verdict:
    """Whether a version becomes the champion, and why or why not."""

    better: bool
    reason: str


def _create(client: Any, name: str) -> None:
    """Create a registered model unless it exists."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _version(client: Any, name: str, model: Any, run: Any, description: str) -> Any:
    """Return the version of a logged model in the registry, creating it if necessary."""
    known = client.search_model_versions(f"name='{name}' and run_id='{run.info.run_id}'")
    if known:
        return known[0]
    source = f"models:/{model.model_id}"
    return client.create_model_version(
        name, source, run.info.run_id, description=description, await_creation_for=0, model_id=model.model_id
    )


def _champion(client: Any, name: str) -> Any | None:
    """Return the version with the alias; None if there is none."""
    found = client.get_registered_model(name).aliases
    return client.get_model_version(name, found[CHAMPION]) if CHAMPION in found else None


def _judge(client: Any, champion: Any, run: Any, predictions: Path) -> Verdict:
    """Return whether a run is better than the champion's on the same validation images."""
    from mlflow.exceptions import MlflowException

    stays = f"version {champion.version} stays {CHAMPION}"
    try:
        other = client.get_run(champion.run_id)
        mine, theirs = validation_fingerprint(run), validation_fingerprint(other)
        if mine is None or mine != theirs:
            return Verdict(False, f"{stays}: it was validated on other images, which no paired test can compare")
        with tempfile.TemporaryDirectory() as temporary:
            before = _right(Path(client.download_artifacts(champion.run_id, PREDICTIONS, temporary)))
    except (MlflowException, FileNotFoundError) as error:
        text = str(error).strip().splitlines()[0]
        return Verdict(False, f"{stays}: its predictions cannot be read ({text})")
    after = _right(predictions)
    if before.keys() != after.keys() or not after:
        return Verdict(False, f"{stays}: its predictions are of other images")
    return compare(np.array([before[path] for path in after]), np.array(list(after.values())), stays)


def compare(before: np.ndarray, after: np.ndarray, stays: str = "") -> Verdict:
    """Return whether the second classifier is better than the first, beyond chance.

    Args:
        before: bool (images,), which images the champion gets right.
        after: the same for the other classifier.
        stays: beginning of the reason for keeping the champion.
    """
    from headstart.evaluation.paired_test import SIGNIFICANT, mcnemar

    p_value = mcnemar(before, after)
    figures = f"validation accuracy from {100 * before.mean():.1f} to {100 * after.mean():.1f} %, p = {p_value:.2g}"
    if after.mean() <= before.mean():
        return Verdict(False, f"{stays}: {figures}")
    if p_value > SIGNIFICANT:
        return Verdict(False, f"{stays}: {figures}, which may be chance")
    return Verdict(True, figures)


def _right(file: Path) -> dict[str, bool]:
    """Return whether each validation image was labelled right, by its path."""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
        rows: Iterable[dict[str, str]] = csv.DictReader(text)
        return {row["path"]: row["correct"] == "1" for row in rows if row["split"] == "validation"}


def _figures(run: Any) -> str:
    found = {split: run.data.metrics.get(f"{split}_accuracy") for split in ("val", "test")}
    shown = [f"{split} accuracy {format_percent(value)}" for split, value in found.items() if value is not None]
    return f"{': '.join([run.info.run_name, *([', '.join(shown)] if shown else [])])}. "


def _sentence(verdict: Verdict) -> str:
    reason = verdict.reason
    return f"Became {CHAMPION}: {reason}." if verdict.better else f"{reason[:1].upper()}{reason[1:]}."
