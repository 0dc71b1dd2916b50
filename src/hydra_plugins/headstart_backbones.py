"""`backbone=NAME` for every backbone without a file in `conf/backbone`; here, because Hydra looks for plugins here."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore

from headstart.core.paths import conf_directory
from headstart.model.backbones.entries import BACKBONES

for entry in BACKBONES.values():
    if not (conf_directory() / "backbone" / f"{entry.name}.yaml").is_file():  # Hydra would take it for its schema
        ConfigStore.instance().store(
            group="backbone",
            name=entry.name,
            node={"name": entry.name, "weights": entry.default_weights},
            provider="headstart",
        )
