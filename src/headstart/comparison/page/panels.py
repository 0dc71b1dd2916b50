"""The figures of the page with their titles and legends, each drawn for a desktop and for a phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from headstart.comparison import charts
from headstart.comparison.analysis import Analysis
from headstart.comparison.charts.scatter import frontier
from headstart.comparison.charts.series import Series
from headstart.comparison.confusion import MAX_CLASSES, confusion_of
from headstart.comparison.table import percent

WIDE, NARROW = 600.0, 346.0  # pixels of a figure on a desktop and on a phone
MATRICES = 4


@dataclass(frozen=True)
class Key:
    """A line of a figure's legend: whose colour it is."""

    swatch: Markup
    text: str


@dataclass(frozen=True)
class Panel:
    """A figure of the page, drawn for a desktop and for a phone.

    Args:
        title: what it shows.
        wide: for a desktop.
        narrow: for a phone.
        keys: of its legend.
        note: a sentence below it.
    """

    title: str
    wide: Markup
    narrow: Markup
    keys: tuple[Key, ...] = ()
    note: str = ""


def make_panels(found: Analysis, series: Series) -> list[Panel]:
    """Return the figures, in the order of the page.

    Args:
        found: by the comparison.
        series: of its strategies and curves.
    """
    if not found.strategies:
        return []
    made = (
        _learning_curve(found, series),
        _cost(found, series),
        _seeds(found, series),
        _classes(found, series),
        _epochs(found, series),
    )
    return [panel for panel in made if panel is not None]


def make_matrices(found: Analysis) -> list[Panel]:
    """Return the confusion matrices of the best strategies; none for many classes.

    Args:
        found: by the comparison.
    """
    confusion = confusion_of(found.strategies, MATRICES) if found.strategies else None
    if confusion is None or len(confusion.classes) > MAX_CLASSES:
        return []
    made = []
    for order, position in enumerate(confusion.positions):
        title = f"#{position + 1} {found.strategies[position].label}"
        drawing = charts.matrix_chart(confusion, order, f"Confusion of {title}", NARROW).html()
        made.append(Panel(title, drawing, drawing))
    return made


def _learning_curve(found: Analysis, series: Series) -> Panel | None:
    if not found.curves:
        return None
    pairs = zip(found.curves, series.curves, strict=True)
    return _panel(
        "Accuracy by number of training images",
        lambda width: charts.learning_curve_chart(found.curves, series.curves, width),
        tuple(Key(charts.swatch(number), curve.describe()) for curve, number in pairs if number),
    )


def _cost(found: Analysis, series: Series) -> Panel | None:
    rows = found.rows
    return _panel(
        "Accuracy against seconds, with the frontier",
        lambda width: charts.cost_chart(rows, series.strategies, width, names=width == WIDE),
        tuple(
            _key(found, series, position, f": {rows[position].time} s, {percent(rows[position].validation_accuracy)} %")
            for position in frontier(rows)
        ),
        "On the line, no other strategy is both faster and better on validation.",
    )


def _seeds(found: Analysis, series: Series) -> Panel | None:
    note = "A point is a run, the bar a 95 % interval of the mean."
    if len(found.rows) > charts.MAX_ROWS:
        note += f" The first {charts.MAX_ROWS} of {len(found.rows)} strategies."
    return _panel(
        "Every run by strategy",
        lambda width: charts.seeds_chart(found.strategies, found.rows, series.strategies, width),
        note=note,
    )


def _classes(found: Analysis, series: Series) -> Panel | None:
    confusion = confusion_of(found.strategies, charts.NAMED, series.first)
    if confusion is None:
        return None
    names = [row.strategy for row in found.rows]
    note = "Classes in which the strategies differ most come first."
    if len(confusion.classes) > charts.MAX_ROWS:
        note = f"The {charts.MAX_ROWS} of {len(confusion.classes)} classes in which the strategies differ most."
    return _panel(
        "Differences by class",
        lambda width: charts.classes_chart(confusion, names, series.strategies, width),
        tuple(_key(found, series, position) for position in confusion.positions),
        note,
    )


def _epochs(found: Analysis, series: Series) -> Panel | None:
    return _panel(
        "Validation accuracy by epoch",
        lambda width: charts.epochs_chart(found.strategies, series, width),
        tuple(_key(found, series, position) for position in series.first),
        "The mean over the runs of a strategy, and their range.",
    )


def _key(found: Analysis, series: Series, position: int, more: str = "") -> Key:
    """Return a line of a legend for the strategy at a position of the table."""
    return Key(charts.swatch(series.strategies[position]), f"#{position + 1} {found.rows[position].strategy}{more}")


def _panel(
    title: str, draw: Callable[[float], charts.Drawing | None], keys: tuple[Key, ...] = (), note: str = ""
) -> Panel | None:
    """Return a figure in both widths; None if there is nothing to draw."""
    wide, narrow = draw(WIDE), draw(NARROW)
    return Panel(title, wide.html(), narrow.html(), keys, note) if wide and narrow else None
