"""The identity of a run: its name and its config hash."""

from __future__ import annotations

import dataclasses
import hashlib

from headstart.config import Config, ScenarioConfig, scenario_strategies
from headstart.config.fields import FIGURES
from headstart.config.former_scenarios import scenario_cells
from headstart.config.keys import leaves_of


def run_name(config: Config) -> str:
    """Return a readable name: data set, backbone, head, freeze schedule, seed and fold."""
    if config.head.output == "imagenet":  # nothing is trained, nothing is random
        return f"{config.dataset.name} {config.backbone.name} as it is"
    fold = "" if config.cv.fold is None else f" fold {config.cv.fold}"
    names = (config.dataset.name, config.backbone.name, config.head.name, config.freeze.name)
    return f"{' '.join(names)} seed {config.seed}{fold}"


def config_hash(config: Config) -> str:
    """Return a hash of every value that decides a run's results, see `Decides`.

    It does not depend on names of options, locations or execution settings, nor on the images: to find the same run,
    compare the fingerprint of the images too.

    It leaves out values that are the schema's defaults, so that a new key does not change the hashes of earlier runs.
    Therefore never change the default of such a key in the schema; change the files under `conf/`.

    The hash of `scenario=auto` covers the strategies it chooses from, so that it is the same before and after the
    choice. That of an earlier version's run covers the four scenarios.
    """
    if config.scenario.name == "auto":
        former = bool(config.scenario.cells)
        options = scenario_cells(config) if former else list(scenario_strategies(config).values())
        hashes = [config_hash(dataclasses.replace(one, scenario=ScenarioConfig())) for one in options]
        whole = ["auto", *([] if former else [config.scenario.seconds]), *hashes]
        return hashlib.sha256(repr(whole).encode()).hexdigest()[:16]
    # Former names, so that renaming a key or value does not change the hash.
    deciding = [leaf for leaf in leaves_of(config) if leaf.decides in FIGURES and not leaf.is_default]
    values = {leaf.former_key: leaf.former_value for leaf in deciding}
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:16]
