"""The four scenarios that `scenario=auto` chose from in earlier versions, for the digests of their stored runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from headstart.config.compose import compose
from headstart.config.overrides import drop_group
from headstart.config.schema import CELLS, CellConfig, Config


def compose_cells(overrides: Sequence[str], search_path: Sequence[str]) -> dict[str, CellConfig]:
    """Return the freeze schedule and optimizer of each scenario, composed with the run's other overrides, which win.

    Args:
        overrides: overrides of a run with `scenario=auto`.
        search_path: additional locations of options.

    Raises:
        HeadstartError: when the options no longer exist.
    """
    others = drop_group(overrides, "scenario")
    composed = {cell: compose([*others, f"scenario={cell}"], search_path) for cell in CELLS}
    return {cell: CellConfig(config.freeze, config.optimizer) for cell, config in composed.items()}


def scenario_cells(config: Config) -> list[Config]:
    """Return the configurations of the four scenarios, in the order of CELLS.

    Args:
        config: that an earlier version stored of a run with `scenario=auto`.
    """
    cells = config.scenario.cells
    return [dataclasses.replace(config, freeze=cells[name].freeze, optimizer=cells[name].optimizer) for name in CELLS]
