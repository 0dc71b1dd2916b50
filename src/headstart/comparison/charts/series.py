"""Which colour and shape a strategy has, the same in the table and in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.comparison.charts.drawing import NAMED
from headstart.comparison.learning_curves import StrategyCurve
from headstart.comparison.strategies import Strategy


@dataclass(frozen=True)
class Series:
    """Colours and shapes by number: 1 to NAMED; 0 is the grey circle of those beyond.

    Args:
        strategies: of each strategy in the table.
        curves: of each learning curve.
    """

    strategies: tuple[int, ...]
    curves: tuple[int, ...]

    @property
    def first(self) -> tuple[int, ...]:
        """Positions of the first strategy of each colour, so that no colour stands for two in one figure."""
        return tuple(self.strategies.index(number) for number in range(1, max(self.strategies, default=0) + 1))


def series_of(strategies: Sequence[Strategy], curves: Sequence[StrategyCurve]) -> Series:
    """Give the first strategies a colour each; those on one learning curve share it.

    Args:
        strategies: in the order of the table.
        curves: their learning curves.
    """
    curve_of = {id(member): position for position, curve in enumerate(curves) for member in curve.members}
    given: dict[int, int] = {}  # by curve, or by strategy
    found = []
    for strategy in strategies:
        key = curve_of.get(id(strategy), id(strategy))
        found.append(given.setdefault(key, len(given) + 1 if len(given) < NAMED else 0))
    return Series(tuple(found), tuple(given[position] for position in range(len(curves))))
