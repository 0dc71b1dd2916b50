"""What the registry of backbones adds to Hydra, which looks for plugins in this package.

- `backbone=NAME` for every backbone without a file in `conf/backbone`.
- `${each_block:NAME}` for the sweeper's parameters, see `conf/sweep/surgical.yaml`.
"""

from __future__ import annotations

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

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


def each_block(backbone: str) -> str:
    """Return targets that train one block each, separated by commas, from the images on.

    Args:
        backbone: its name; of one that is not in the registry there are none, and its check reports it.
    """
    blocks = BACKBONES[backbone].blocks.blocks if backbone in BACKBONES else ()
    return ",".join(f"{{blocks:[{block}]}}" for block in blocks)


OmegaConf.register_new_resolver("each_block", each_block, replace=True)
