"""`scenario=auto`: what the findings about a run's data and strategies mean for its configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from headstart.config import GROUPS, Config, StrategyConfig, to_yaml, with_strategy
from headstart.core.console import console
from headstart.core.files import write_json, write_text
from headstart.results.codec import from_plain, to_plain
from headstart.results.scenario import SCENARIO, Scenario, ScenarioMeasurement
from headstart.scenario.display import print_placement, write_figure
from headstart.scenario.display_strategies import print_choice
from headstart.scenario.findings import Findings

FIGURE = "figures/scenario_probes.png"


def use_findings(config: Config, found: Findings, images: int, output: Path) -> tuple[Config, Scenario]:
    """Print and write what was found, and return the configuration of the best strategy.

    Args:
        config: of a run with `scenario=auto`.
        found: what was measured and tried.
        images: training images in all.
        output: directory of the run, for scenario.json, figures/scenario_probes.png, and a new config.yaml.

    Returns:
        The configuration with the parts of the chosen strategy, and the section of the results.
    """
    given = given_groups(config.scenario.strategies)
    print_placement(found.placement, config.backbone.name)
    print_choice(found.choice, images)
    for group in given:
        console.print(f"{group}={getattr(config, group).name} was set explicitly and is kept.", markup=False)
    name = found.choice.strategy
    chosen = with_strategy(config, config.scenario.strategies[name])
    parts = " ".join(f"{group}={getattr(chosen, group).name}" for group in GROUPS)
    console.print(f"Training with {name}: {parts}", markup=False)
    scenario = scenario_of(found, given)
    # First the configuration: without scenario.json, a resumed run chooses again.
    write_text(output / "config.yaml", to_yaml(chosen))
    write_figure(found.placement, f"{config.dataset.name}, {config.backbone.name}", output / FIGURE)
    write_json(output / SCENARIO, to_plain(scenario))
    return chosen, scenario


def scenario_of(found: Findings, given: list[str]) -> Scenario:
    """Return the section of a run's results about its scenario and its strategy.

    Args:
        found: what was measured and tried.
        given: groups that the command set, see `given_groups`.
    """
    placement, choice = found.placement, found.choice
    measured = from_plain(ScenarioMeasurement, {**to_plain(placement), "given": given})
    accuracy = choice.probe_accuracies[-1] if choice.probe_accuracies else None
    measured = dataclasses.replace(measured, multi_depth_accuracy=accuracy, choice=choice)
    return Scenario(name="auto", cell=placement.cell, strategy=choice.strategy, measured=measured)


def given_groups(strategies: Mapping[str, StrategyConfig]) -> list[str]:
    """Return the groups that are the same in every strategy, because they were set explicitly.

    A strategy's optimizer is that of its freeze schedule, so it says nothing where the schedule was set.

    Args:
        strategies: of a run with `scenario=auto`.
    """
    names = {group: {getattr(one, group).name for one in strategies.values()} for group in GROUPS}
    given = [group for group in GROUPS if len(names[group]) == 1]
    return [group for group in given if group != "optimizer" or "freeze" not in given]
