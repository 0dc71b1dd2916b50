"""`scenario=auto`: measures the scenario of a run's data, and chooses its freeze schedule and optimizer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from headstart.config import Config, scenario_cells, to_yaml
from headstart.core.console import console
from headstart.core.files import write_json, write_text
from headstart.data.index import ImageIndex
from headstart.features.activation_cache import open_activation_cache
from headstart.results.codec import from_plain, to_plain
from headstart.results.scenario import Scenario, ScenarioMeasurement
from headstart.scenario.display import print_placement, write_figure
from headstart.scenario.measure import measure_scenario
from headstart.scenario.probes import multi_depth_probe
from headstart.scenario.square import Placement

FILE = "scenario.json"
FIGURE = "figures/scenario_probes.png"


def choose_scenario(config: Config, index: ImageIndex, image_size: int, output: Path) -> tuple[Config, Scenario]:
    """Measure the training images, say which scenario they are in, and return what it calls for.

    Args:
        config: of a run with `scenario=auto`.
        index: all images, with their digests.
        image_size: side in pixels.
        output: directory of the run, for scenario.json, figures/scenario_probes.png, and a new config.yaml.

    Returns:
        The configuration with the freeze schedule and optimizer of the cell, and the section of the results.

    Raises:
        HeadstartError: when the scenario cannot be measured.
    """
    cells = scenario_cells(config)
    activations = open_activation_cache(config, image_size)
    placement = measure_scenario(config, index, image_size, activations)
    probe = multi_depth_probe(config, index, image_size, activations)
    accuracy = round(probe.accuracy(probe.training), 6)
    chosen, given = cells[placement.cell], given_groups(cells)
    print_placement(placement, cells)
    for group in given:
        console.print(f"  {group}={getattr(chosen, group).name} was set explicitly and is kept.", markup=False)
    console.print(f"  Training with scenario={placement.cell}.", markup=False)
    console.print(
        f"  The frozen probe of all depths alone (head=multi_depth freeze=all) has {accuracy:.4f} on the validation "
        "images.",
        markup=False,
        soft_wrap=True,
    )
    found = scenario_of(placement, given, accuracy)
    write_json(output / FILE, to_plain(found))
    write_figure(placement, f"{config.dataset.name}, {config.backbone.name}", output / FIGURE)
    write_text(output / "config.yaml", to_yaml(chosen))
    return chosen, found


def scenario_of(placement: Placement, given: list[str], multi_depth_accuracy: float) -> Scenario:
    """Return the section of a run's results about the scenario that was measured.

    Args:
        placement: what was measured.
        given: groups that the command set, see `given_groups`.
        multi_depth_accuracy: of the multi-depth probe on the validation images, 0 to 1.
    """
    measured = from_plain(ScenarioMeasurement, {**dataclasses.asdict(placement), "given": given})
    measured = dataclasses.replace(measured, multi_depth_accuracy=multi_depth_accuracy)
    return Scenario(name="auto", cell=placement.cell, measured=measured)


def given_groups(cells: dict[str, Config]) -> list[str]:
    """Return which of freeze and optimizer are the same in every cell, because they were set explicitly.

    Args:
        cells: the configuration of each cell.
    """
    freezes = {cell.freeze.name for cell in cells.values()}
    optimizers = [cell.optimizer for cell in cells.values()]
    same = {"freeze": len(freezes) == 1, "optimizer": all(one == optimizers[0] for one in optimizers)}
    return [group for group, is_same in same.items() if is_same]
