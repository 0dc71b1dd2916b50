"""The record of a soup, `soup.json`."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.results.figures import SplitResults
from headstart.results.refinements import PairedTest


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """A run whose weights were tried."""

    run: str
    """Directory of the run."""
    run_id: str | None
    """MLflow id of the run; null if it was not tracked."""
    validation_accuracy: float
    """Share of the validation images that the run alone labels right, 0 to 1."""
    accuracy_with: float
    """Share of the validation images that the average with this run labels right, 0 to 1."""
    added: bool
    """Whether the run is part of the soup."""


@dataclass(frozen=True, kw_only=True)
class Soup:
    """What `headstart soup` averaged, and what that gave."""

    ingredients: tuple[Ingredient, ...]
    """The runs in the order in which they were tried, the best one first."""
    tests: dict[str, PairedTest]
    """The best single run against the soup, by split (`validation`, `test`)."""
    splits: dict[str, SplitResults]
    """Figures of the saved soup by split."""
