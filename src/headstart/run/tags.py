"""The tags of a run in the tracking store, for searching."""

from __future__ import annotations

from headstart.config.identity import config_hash
from headstart.results.types import RunResults
from headstart.run.setup import RunSetup


def run_tags(setup: RunSetup) -> dict[str, str]:
    """Return the tags to set when a run starts.

    Args:
        setup: the run's setup.
    """
    config = setup.config
    return {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "head": config.head.name,
        "freeze": config.freeze.name,
        "dataset_fingerprint": setup.index.fingerprint,
        "config_hash": config_hash(config),
        "output": str(setup.output),
        **({"recipe": config.recipe.name} if config.recipe.name else {}),
        **({"scenario": setup.scenario.cell} if setup.scenario.cell else {}),
        **({"strategy": setup.scenario.strategy} if setup.scenario.strategy else {}),
    }


def result_tags(results: RunResults) -> dict[str, str]:
    """Return the tags to set when a run ends.

    Args:
        results: the run's results.
    """
    tags = {"best_stage": results.best_epoch.stage} if results.best_epoch else {}
    if results.reproduces:
        tags.update(reproduces=str(results.reproduces.run_id), reproduced=results.reproduces.verdict)
    return tags
