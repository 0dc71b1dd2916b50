"""The identity of a run: its name and its config hash."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

from headstart.config import Config, ScenarioConfig, scenario_strategies
from headstart.config.fields import FIGURES, Decides
from headstart.config.former_scenarios import scenario_cells
from headstart.config.keys import effect_of, leaves_of
from headstart.config.overrides import override_key, override_value

LONGEST_VALUE = 24  # characters of an override's value in the name of a run


def run_name(config: Config, overrides: Sequence[str] = (), swept: Collection[str] = ()) -> str:
    """Return a readable name that begins with what differs between runs, such as "last_block linear s1 vgg16 digits".

    Args:
        config: the resolved configuration.
        overrides: of the command; those that decide figures and have no word of their own are named too.
        swept: keys whose values differ between the jobs of the run's sweep; they come first.
    """
    words = _words(config)
    words.update({key: word for key, word in _override_words(overrides).items() if key not in words})
    first = [words[key] for key in words if key in swept]
    last = [words[key] for key in ("backbone", "dataset") if key not in swept]
    between = [words[key] for key in words if key not in (*swept, "backbone", "dataset")]
    return " ".join([*first, *between, *last])


def data_name(config: Config) -> str:
    """Return the name of a run's data: that of its option, or of its directory or CSV file if the option is general.

    Args:
        config: the resolved configuration.
    """
    dataset = config.dataset
    place = dataset.csv or dataset.root
    return (Path(place).stem or dataset.name) if place and dataset.name == dataset.source else dataset.name


def _words(config: Config) -> dict[str, str]:
    """Return the words of every run's name by their keys on the command line."""
    data = data_name(config)
    if config.head.output == "imagenet":  # nothing is trained, nothing is random
        return {"backbone": f"{config.backbone.name} as it is", "dataset": data}
    fold = {} if config.cv.fold is None else {"cv.fold": f"fold {config.cv.fold}"}
    words = {"freeze": config.freeze.name, "head": config.head.name, "seed": f"s{config.seed}", **fold}
    return {**words, "backbone": config.backbone.name, "dataset": data}


def _override_words(overrides: Sequence[str]) -> dict[str, str]:
    """Return `key=value`, with the last part of the key, of each short override that decides figures."""
    words = {}
    for override in overrides:
        key, value = override_key(override), override_value(override)
        decides = effect_of(Config, key)
        if decides in (*FIGURES, Decides.NAME) and value and len(value) <= LONGEST_VALUE:
            words[key] = f"{key.rpartition('.')[2]}={value}"
    return words


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
