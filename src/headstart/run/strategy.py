"""The scenario and the strategy of a run: chosen by `scenario=auto`, or recorded by the run that it continues."""

from __future__ import annotations

import json
from pathlib import Path

from headstart.config import Config, to_yaml, with_strategy
from headstart.core.errors import HeadstartError
from headstart.core.files import write_json, write_text
from headstart.data.index import ImageIndex
from headstart.results.codec import from_plain, to_plain
from headstart.results.file import load_results
from headstart.results.scenario import SCENARIO, Scenario
from headstart.run.preflight import fitting_strategies
from headstart.run.reproduce import ORIGINAL, RESULTS


def settle_scenario(
    config: Config, index: ImageIndex, image_size: int, output: Path, resume: bool
) -> tuple[Config, Scenario]:
    """Return the configuration to train, and the section of the results about the scenario.

    A run that is resumed or reproduced trains what was chosen when it began; nothing is measured or tried again.

    Args:
        config: of the run.
        index: all images, with their digests.
        image_size: side in pixels.
        output: directory of the run, for scenario.json and what else `scenario=auto` writes.
        resume: whether the run in this directory is resumed.

    Raises:
        HeadstartError: when the scenario cannot be measured.
    """
    if config.scenario.name != "auto":
        return config, Scenario(name=config.scenario.name, cell=config.scenario.cell)
    recorded = _recorded(config, output, resume)
    if recorded is not None:
        if recorded.strategy is not None:  # else an earlier version has recorded it, and config.yaml has what it chose
            config = with_strategy(config, config.scenario.strategies[recorded.strategy])
            write_text(output / "config.yaml", to_yaml(config))
        write_json(output / SCENARIO, to_plain(recorded))
        return config, recorded
    from headstart.scenario.choose import use_findings
    from headstart.scenario.findings import find_strategy
    from headstart.training.hardware import seed_everything

    seed_everything(config.seed, config.deterministic, "float32")  # whatever an earlier job of this process left
    found = find_strategy(config, *fitting_strategies(config), index, image_size)
    return use_findings(config, found, len(index.split("train")), output)


def _recorded(config: Config, output: Path, resume: bool) -> Scenario | None:
    """Return the scenario that this run, or the one that it reproduces, has recorded; None if neither has."""
    try:
        if resume and (output / SCENARIO).exists():
            return from_plain(Scenario, json.loads((output / SCENARIO).read_text(encoding="utf-8")))
        if config.reproduce is not None:
            return load_results(output / ORIGINAL / RESULTS).scenario
    except (OSError, ValueError) as error:
        raise HeadstartError(f"Expected {output} to have the scenario of its run. Received: {error}") from error
    return None
