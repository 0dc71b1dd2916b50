"""What tells one run from another: its name, its tags, and the digest of what decides its figures."""

from __future__ import annotations

import dataclasses
import hashlib

from headstart.config import Config, ScenarioConfig, scenario_cells
from headstart.config.fields import FIGURES
from headstart.config.keys import leaves_of


def run_name(config: Config) -> str:
    """Return a name that tells runs apart at a glance."""
    if config.head.output == "imagenet":  # nothing is trained, nothing is random
        return f"{config.dataset.name} {config.backbone.name} as it is"
    fold = "" if config.cv.fold is None else f" fold {config.cv.fold}"
    names = (config.dataset.name, config.backbone.name, config.head.name, config.freeze.name)
    return f"{' '.join(names)} seed {config.seed}{fold}"


def config_hash(config: Config) -> str:
    """Return a digest of everything that decides a run's figures, see `Decides`, but for the images.

    What an option is called, where the images are and how the work is done leave it as it is. Which images there are
    is told by their fingerprint, which whoever looks for a run by this digest compares too.

    Values that are the defaults of the schema are left out, so that a new key at a neutral default changes no digest of
    an earlier run. For the same reason the default of a key that decides figures never changes in the schema; the files
    under `conf/` may set another value.

    Of `scenario=auto` the digest is over what it may choose from. So it is known before anything is measured, and is
    the same afterwards.
    """
    if config.scenario.name == "auto":
        cells = [
            config_hash(dataclasses.replace(cell, scenario=ScenarioConfig(name)))
            for name, cell in scenario_cells(config).items()
        ]
        return hashlib.sha256(repr(["auto", *cells]).encode()).hexdigest()[:16]
    # By the names of earlier versions: a key or value that is renamed changes no digest.
    deciding = [leaf for leaf in leaves_of(config) if leaf.decides in FIGURES and not leaf.is_default]
    values = {leaf.former_key: leaf.former_value for leaf in deciding}
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:16]
