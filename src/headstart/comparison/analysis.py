"""What a comparison finds before anything is written: strategies in order, their tests, what failed, what to note."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.comparison.collect import Run
from headstart.comparison.learning_curves import StrategyCurve, learning_curves
from headstart.comparison.significance import (
    NO_TEST,
    TIE,
    NegativeTransfer,
    compare_with_best,
    find_negative_transfer,
    rank_strategies,
)
from headstart.comparison.strategies import Strategy, group_runs
from headstart.comparison.table import Row, make_rows, percent, shortened
from headstart.core.console import count_of
from headstart.core.errors import HeadstartError

LONGEST_ERROR = 300  # characters
FEW_SEEDS = "Two seeds are few: intervals are wide, and large differences may show as ties. Try seed=0,1,2."


@dataclass(frozen=True)
class Failure:
    """A run that did not finish."""

    name: str
    status: str  # FAILED, KILLED, RUNNING or UNFINISHED
    error: str  # why, in one line


@dataclass(frozen=True, eq=False)
class Analysis:
    """What the runs of a comparison say.

    Args:
        summary: the result in a sentence or two.
        notes: remarks, in sentences.
        strategies: in the order of the table: best first by validation, grouped by test images.
        rows: of the table, one per strategy.
        curves: of strategies with several shares of the training images.
        flags: cases of negative transfer, in sentences.
        failed: the runs that did not finish.
    """

    summary: str
    notes: tuple[str, ...]
    strategies: tuple[Strategy, ...]
    rows: tuple[Row, ...]
    curves: tuple[StrategyCurve, ...]
    flags: tuple[str, ...]
    failed: tuple[Failure, ...]

    @property
    def rivals(self) -> tuple[tuple[Strategy, Row], ...]:
        """The strategies with the best one's test images, the best one first."""
        pairs = zip(self.strategies, self.rows, strict=True)
        return tuple(pair for pair in pairs if pair[0].images == self.strategies[0].images)

    def failures_by_reason(self) -> dict[str, list[Failure]]:
        """Return the runs that did not finish by the reason, the most frequent one first."""
        reasons: dict[str, list[Failure]] = defaultdict(list)
        for run in self.failed:
            reasons[run.error or run.status].append(run)
        return dict(sorted(reasons.items(), key=lambda pair: -len(pair[1])))

    @property
    def ties(self) -> int:
        """How many strategies do not differ significantly from the best one."""
        return sum(row.significance.outcome == TIE for _, row in self.rivals)


def analyse(runs: Sequence[Run]) -> Analysis:
    """Group runs into strategies, rank them and test them.

    Args:
        runs: in the order in which they were started, finished or not.

    Raises:
        HeadstartError: when there is no run.
    """
    if not runs:
        raise HeadstartError("Expected at least one run to compare. Received: none")
    grouped, unfinished, notes = group_runs(runs)
    strategies = rank_strategies(grouped)
    rows = make_rows(strategies, compare_with_best(strategies))
    curves = learning_curves(strategies)
    notes += [curve.describe() for curve in curves]
    notes += [FEW_SEEDS] if any(len(strategy.seeds) == 2 for strategy in strategies) else []
    return Analysis(
        summary=_summary(strategies, rows, len(unfinished)),
        notes=tuple(notes),
        strategies=tuple(strategies),
        rows=tuple(rows),
        curves=tuple(curves),
        flags=tuple(_flag(found) for found in find_negative_transfer(strategies)),
        failed=tuple(Failure(name, run.status, shortened(run.error or "", LONGEST_ERROR)) for name, run in unfinished),
    )


def _summary(strategies: list[Strategy], rows: list[Row], failed: int) -> str:
    """Return the result in a sentence or two."""
    runs = sum(len(strategy.runs) for strategy in strategies)
    counts = f"{count_of(runs, 'finished run')} of {count_of(len(strategies), 'strategy', 'strategies')}"
    counts += f", {failed} did not finish" if failed else ""
    if not strategies:
        return f"No run finished; {failed} did not."
    best, first = strategies[0], rows[0]
    same = [row for strategy, row in zip(strategies, rows, strict=True) if strategy.images == best.images]
    ties = sum(row.significance.outcome == TIE for row in same)
    sentence = f"Best by validation: {best.label}"
    if first.validation_accuracy is not None:
        sentence += f", {percent(first.validation_accuracy)} %"
    if first.test:
        sentence += f"; on the test images {first.accuracy} % ({first.interval})"
    if first.significance.outcome == NO_TEST:
        sentence += "; there are no test images"
    sentence += f". No significant difference from {ties} other{'s' if ties > 1 else ''}." if ties else "."
    sets = len({strategy.images for strategy in strategies})
    many = f" There are {sets} sets of test images; strategies are compared within each set." if sets > 1 else ""
    return f"{counts}. {sentence}{many}"


def _flag(found: NegativeTransfer) -> str:
    low, high = found.strategy.test_accuracy(), found.floor.test_accuracy()
    figures = f"{percent(low.mean)} % against {percent(high.mean)} %" if low and high else ""
    name = f"{found.floor_name} {found.floor.label}"
    return f"{found.strategy.label} ends below {name}: {figures} (p = {found.p_value:.2g})."
