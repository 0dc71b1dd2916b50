"""Fills the template of the page; everything that was read from files is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from markupsafe import Markup

from headstart.comparison import charts
from headstart.comparison.analysis import Analysis
from headstart.comparison.charts.plot import accuracy_scale
from headstart.comparison.charts.series import Series, series_of
from headstart.comparison.disagreements import Sheet
from headstart.comparison.learning_curves import FRACTION
from headstart.comparison.naming import shared_settings
from headstart.comparison.page.gallery import make_galleries
from headstart.comparison.page.header import RunLink, make_header, run_links
from headstart.comparison.page.panels import make_matrices, make_panels
from headstart.comparison.page.scenarios import scenario_cells
from headstart.comparison.table import Row, fractions_vary, setting_keys
from headstart.core import html_page

EXPLANATIONS = (
    "A strategy groups the runs that differ only in the seed or the cross-validation fold, and shows their means. It "
    "is named by the settings that differ between the strategies.",
    "The best strategy has the highest validation accuracy. The test images play no part in that choice, so the test "
    "accuracy stays unbiased.",
    "With several seeds, the interval is Student's t interval of the mean: it covers other seeds, not other test "
    "images. With one run, or with identical runs, it is Wilson's interval over the test images: it does not cover "
    "other seeds. Folds share training images, which makes their interval slightly too narrow.",
    "Against the best: a paired test on the same test images, McNemar's exact test for one run each, a paired "
    "bootstrap over images and seeds otherwise. P-values are corrected for the number of strategies (Holm), so all "
    "results in this table hold together with 95 % confidence. A tie means no significant difference at that level; "
    "it does not mean that two strategies are equal.",
    "A strategy with other test images is compared with the best strategy on the same images; if there is none, the "
    'table shows "other images".',
    "Seconds are the time of a whole run. A run is faster if an earlier one has filled the cache.",
)
EXPLANATION_OF_CURVES = (
    "A learning curve is extrapolated by all power laws, error = a + b x images^-c, weighted by how well they pass "
    "through the measured points. Its interval holds 95 % of what they expect of more images of the same kind."
)


@dataclass(frozen=True)
class Bar:
    """The interval of an accuracy in a cell of the table, in percent of the cell's width."""

    left: float
    width: float
    mean: float


@dataclass(frozen=True)
class Line:
    """A row of the table with what the page shows beside its figures."""

    number: int
    row: Row
    series: int
    swatch: Markup
    bar: Bar | None
    runs: tuple[RunLink, ...]


def render_page(found: Analysis, title: str, sheets: Sequence[Sheet], no_pictures: str | None, directory: Path) -> str:
    """Return the page as HTML.

    Args:
        found: by the comparison.
        title: of the page.
        sheets: images that only one of the best two strategies gets right.
        no_pictures: why there are none; None if there are some.
        directory: of the page.
    """
    series = series_of(found.strategies, found.curves)
    varied = fractions_vary(found.rows)
    keys = setting_keys(found.rows)
    lines, bounds = _lines(found, series, directory)
    return html_page.render_page(
        Path(__file__).with_name("page.html.j2"),
        title=title,
        named=charts.NAMED,
        header=make_header(found, datetime.now().astimezone()),
        summary=found.summary,
        notes=found.notes,
        flags=found.flags,
        failures=found.failures_by_reason(),
        keys=[key for key in keys if not (varied and key == FRACTION)],  # a column of images says it
        shared=shared_settings([one.config for one in found.strategies], keys) if found.strategies else {},
        lines=lines,
        linked=any(line.runs for line in lines),
        bounds=bounds,
        varied=varied,
        charts=make_panels(found, series),
        matrices=make_matrices(found),
        scenarios=scenario_cells(found.strategies, found.rows),
        galleries=make_galleries(sheets),
        no_pictures=no_pictures if found.strategies else None,
        explanations=(*EXPLANATIONS, *([EXPLANATION_OF_CURVES] if found.curves else [])),
    )


def _lines(found: Analysis, series: Series, directory: Path) -> tuple[list[Line], str]:
    """Return the rows of the table, and the ends of the scale of their bars as text."""
    known = [bound for row in found.rows if row.test for bound in (row.test.low, row.test.high)]
    scale = accuracy_scale(known, 0, 100) if known else None
    lines = []
    for number, (strategy, row) in enumerate(zip(found.strategies, found.rows, strict=True), 1):
        bar = None
        if scale and row.test:
            left, right = scale(row.test.low), scale(row.test.high)
            bar = Bar(round(left, 2), round(right - left, 2), round(scale(row.test.mean), 2))
        own = series.strategies[number - 1]
        lines.append(Line(number, row, own, charts.swatch(own), bar, tuple(run_links(strategy, directory))))
    return lines, f"{100 * max(scale.low, 0):.0f} to {100 * min(scale.high, 1):.0f} %" if scale else ""
