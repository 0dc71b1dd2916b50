"""Measures a data set and tries strategies on it: what `scenario=auto` and `headstart recommend` share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from headstart.config import Config
from headstart.core.console import console
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import open_activation_cache
from headstart.results.scenario import NotTried, StrategyChoice
from headstart.scenario.measure import measure_scenario
from headstart.scenario.probes import MultiDepthProbe, multi_depth_probe
from headstart.scenario.square import Placement
from headstart.scenario.stored_findings import FindingsFile
from headstart.scenario.trial_training import Deadline
from headstart.scenario.trials import try_strategies


@dataclass(frozen=True)
class Findings:
    """What was measured and tried."""

    placement: Placement
    choice: StrategyChoice
    probe: MultiDepthProbe | None  # with the features; None if everything was found in the cache


def find_strategy(
    config: Config, strategies: Mapping[str, Config], left_out: Mapping[str, str], index: ImageIndex, image_size: int
) -> Findings:
    """Measure the scenario of a data set and try strategies on it, or return the stored findings of an earlier command.

    Args:
        config: of a run with `scenario=auto`.
        strategies: the configurations to choose from.
        left_out: the reasons why others cannot be chosen, by their strategies.
        index: all images, with their digests.
        image_size: side in pixels.

    Raises:
        HeadstartError: when the scenario cannot be measured.
    """
    file = FindingsFile(config, strategies, index, image_size)
    known = file.read() if config.cache.activations else None
    if known is not None:
        at = datetime.fromisoformat(known.choice.made).strftime("%Y-%m-%d %H:%M")
        console.print(
            f"  Scenario and trials of {at} are reused; headstart cache prune --trials removes them.",
            markup=False,
        )
        return Findings(known.placement, known.choice, None)
    started = time.perf_counter()
    activations = open_activation_cache(config, image_size)
    probe = multi_depth_probe(config, index, image_size, activations)
    placement, curve = measure_scenario(probe), probe.curve()
    # The deadline is for the trials alone: the pass over all images is not wasted, training finds it in the cache.
    trials = try_strategies(strategies, probe, image_size, activations, Deadline(config.scenario.seconds))
    choice = StrategyChoice(
        strategy=trials.strategy,
        trials=trials.tried,
        not_tried=(*trials.not_tried, *(NotTried(strategy=name, reason=why) for name, why in left_out.items())),
        images=trials.images,
        validation_images=len(probe.validation),
        probe_images=curve.images,
        probe_accuracies=tuple(round(accuracy, 6) for accuracy in curve.accuracies),
        seconds=round(time.perf_counter() - started, 3),
        made=time.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    if config.cache.activations:
        file.write(placement, choice)
    else:
        console.print(
            f"  cache={config.cache.name}: the trials are not stored. They end when their time is over, so the next "
            "command may choose another strategy.",
            markup=False,
        )
    return Findings(placement, choice, probe)
