"""Which of the four scenarios of transfer learning each strategy is in."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.comparison.strategies import Strategy
from headstart.comparison.table import Row

SCENARIOS = {
    "small_similar": (0, 0),
    "large_similar": (0, 1),
    "small_different": (1, 0),
    "large_different": (1, 1),
}


def scenario_of(strategy: Strategy) -> str | None:
    """Return the scenario that a strategy's runs are in: named by the configuration, or measured."""
    scenario = strategy.runs[0].results.scenario
    return (scenario.cell if scenario else None) or strategy.config.scenario.cell


def rows_by_scenario(strategies: Sequence[Strategy], rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each of the four scenarios; empty if no strategy has one.

    Args:
        strategies: in the order of the table.
        rows: of the same strategies.
    """
    members: dict[str, list[Row]] = {name: [] for name in SCENARIOS}
    for strategy, row in zip(strategies, rows, strict=True):
        name = scenario_of(strategy)
        if name in members:
            members[name].append(row)
    return members if any(members.values()) else {}


def best_by_validation(rows: Sequence[Row]) -> Row:
    """Return the row with the highest validation accuracy; the first of several.

    Args:
        rows: at least one.
    """
    return max(rows, key=lambda row: -1.0 if row.validation_accuracy is None else row.validation_accuracy)
