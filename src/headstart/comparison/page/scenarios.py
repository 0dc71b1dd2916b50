"""The four scenarios of transfer learning, with the best strategy of each by validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.comparison.scenarios import best_by_validation, rows_by_scenario
from headstart.comparison.strategies import Strategy
from headstart.comparison.table import Row, percent

WORDS = {
    "small_similar": "few images, similar to ImageNet",
    "large_similar": "many images, similar to ImageNet",
    "small_different": "few images, different from ImageNet",
    "large_different": "many images, different from ImageNet",
}


@dataclass(frozen=True)
class ScenarioCell:
    """One scenario: its meaning, how many strategies are in it, and the best of them."""

    name: str
    meaning: str
    strategies: int
    best: str
    figures: str


def scenario_cells(strategies: Sequence[Strategy], rows: Sequence[Row]) -> list[ScenarioCell]:
    """Return the four scenarios; none if no strategy has one.

    Args:
        strategies: in the order of the table.
        rows: of the same strategies.
    """
    return [_cell(name, found) for name, found in rows_by_scenario(strategies, rows).items()]


def _cell(name: str, rows: Sequence[Row]) -> ScenarioCell:
    if not rows:
        return ScenarioCell(name, WORDS[name], 0, "no run", "")
    best = best_by_validation(rows)
    figures = f"validation {percent(best.validation_accuracy)} %"
    figures += f", test {best.accuracy} % ({best.interval})" if best.test else ""
    return ScenarioCell(name, WORDS[name], len(rows), best.strategy, figures)
