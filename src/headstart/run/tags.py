"""The tags by which runs are searched in the tracking store."""

from __future__ import annotations

from pathlib import Path

from headstart.config import Config
from headstart.config.identity import config_hash
from headstart.data.index import ImageIndex


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
