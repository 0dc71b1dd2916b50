"""What tells one run from another: its name, its tags, and the digest of what decides its figures."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.config import Config, ScenarioConfig, scenario_cells

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex


DECIDES_NOTHING = (
    "tracking",
    "recipe",
    "scenario",
    "sweep",
    "objective",
    "on_error",
    "plan",
    "audit",
    "checkpoint_seconds",
    "time_limit",
    "resume",
    "reproduce",
)  # a scenario's name; its stages do


def run_name(config: Config) -> str:
    """Return a name that tells runs apart at a glance."""
    if config.head.output == "imagenet":  # nothing is trained, nothing is random
        return f"{config.dataset.name} {config.backbone.name} as it is"
    fold = "" if config.cv.fold is None else f" fold {config.cv.fold}"
    names = (config.dataset.name, config.backbone.name, config.head.name, config.freeze.name)
    return f"{' '.join(names)} seed {config.seed}{fold}"


def config_hash(config: Config) -> str:
    """Return a digest of everything that decides a run's figures; where it is tracked and what it follows do not.

    Of `scenario=auto` that is what it may choose from, and the data, whose fingerprint stands beside this one. So the
    digest is known before anything is measured, and is the same afterwards.
    """
    if config.scenario.name == "auto":
        cells = [
            config_hash(dataclasses.replace(cell, scenario=ScenarioConfig(name)))
            for name, cell in scenario_cells(config).items()
        ]
        return hashlib.sha256(repr(["auto", *cells]).encode()).hexdigest()[:16]
    values = {key: value for key, value in dataclasses.asdict(config).items() if key not in DECIDES_NOTHING}
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:16]


def run_tags(config: Config, index: ImageIndex, output: Path) -> dict[str, str]:
    """Return what runs are searched by."""
    return {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "head": config.head.name,
        "freeze": config.freeze.name,
        "dataset_fingerprint": index.fingerprint,
        "config_hash": config_hash(config),
        "output": str(output),
        **({"recipe": config.recipe.name} if config.recipe.name else {}),
    }
