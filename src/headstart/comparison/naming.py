"""What names a strategy: the settings in which it differs from the others. And what all of them share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from headstart.config import Config
from headstart.config.fields import Decides
from headstart.config.keys import values_that_decide
from headstart.config.train_targets import target_text
from headstart.tracking import flatten

GROUPED_BY = (Decides.RESULT, Decides.DATA)  # keys in which the runs of one strategy agree
NAMED_BY = (*GROUPED_BY, Decides.NAME)  # keys that appear in a strategy's name
TARGET = re.compile(r"freeze\.stages\.\d+\.train")
NAMES_OF_ONE = ("backbone", "head", "freeze")  # a strategy without others to differ from
# What people ask first about settings that nothing varies; the others are in each run's config.yaml.
SHARED = (
    *("dataset", "dataset.fraction", "backbone", "backbone.weights", "head", "freeze", "scenario", "augmentation"),
    *("optimizer", "optimizer.learning_rate", "epochs", "batch_size", "image_size"),
)

Settings = dict[str, str]  # values by dotted keys, both as typed on the command line


def differing_settings(configs: Sequence[Config]) -> list[Settings]:
    """Return for each configuration the values that differ, without those implied by another one.

    A single configuration is described by its backbone, head and freeze schedule.

    Args:
        configs: one per strategy.
    """
    flats = [_named_values(config) for config in configs]
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    differing = [key for key in keys if _varies(key, _decided_by(key), flats)]
    found = []
    for flat in flats:
        own = {_typed(key): _text(flat[key]) for key in differing if key in flat}
        found.append(own or {group: _text(flat[f"{group}.name"]) for group in NAMES_OF_ONE})
    return found


def shared_settings(configs: Sequence[Config], differing: Sequence[str]) -> Settings:
    """Return the main settings that are the same in all configurations and set.

    Args:
        configs: one per strategy, at least one.
        differing: keys that differ, or that are shown elsewhere.
    """
    flats = [{_typed(key): value for key, value in _named_values(config).items()} for config in configs]
    shared = {}
    for key in SHARED:
        values = {_text(flat.get(key)) for flat in flats}
        if key not in differing and len(values) == 1 and values != {"null"}:
            shared[key] = values.pop()
    return shared


def written(settings: Settings) -> str:
    """Return settings as typed on the command line."""
    return " ".join(f"{key}={value}" for key, value in settings.items())


def _typed(key: str) -> str:
    """Return a key as typed: the name of an option stands for its group."""
    return key.removesuffix(".name")


def _named_values(config: Config) -> dict[str, Any]:
    """Return the values that may appear in a strategy's name by their dotted keys, a stage's target as one value."""
    named: dict[str, Any] = {}
    for key, value in values_that_decide(config, NAMED_BY).items():
        named |= {key: target_text(value)} if TARGET.fullmatch(key) else flatten(value, key)
    return named


def _decided_by(key: str) -> list[str]:
    """Return the keys that may determine the value of a key, and then replace it in the name."""
    group = key.split(".")[0]
    deciding = [f"{group}.name"] if key != f"{group}.name" and "." in key else []
    if group in ("freeze", "optimizer"):
        deciding.append("scenario.name")
    # A stage without its own optimizer or epochs has the run's.
    if stage := re.fullmatch(r"freeze\.stages\.\d+\.(optimizer\..+|epochs)", key):
        deciding.append(stage[1])
    return deciding


def _varies(key: str, deciding: Sequence[str], flats: Sequence[dict[str, Any]]) -> bool:
    """Return whether a value differs between configurations with equal values of the deciding keys."""
    values = defaultdict(set)
    for flat in flats:
        if key in flat:
            values[tuple(str(flat.get(name)) for name in deciding)].add(str(flat[key]))
    return any(len(found) > 1 for found in values.values())


def _text(value: Any) -> str:
    """Return a value as written in an override."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
