"""Compares runs and writes the result: the table, the figures, the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

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
from headstart.comparison.table import (
    Row,
    fractions_vary,
    make_rows,
    markdown_table,
    percent,
    plain,
    print_table,
    write_csv,
)
from headstart.core.console import count_of, short_path
from headstart.core.errors import HeadstartError
from headstart.core.files import write_text
from headstart.evaluation.writing import ignore_missing_glyphs, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_MARKDOWN = 7500  # characters; MLflow's limit for a description is 8000
LONGEST_ERROR = 300  # characters
MAX_LISTED = 6  # failed runs and flags in the terminal and in Markdown; the page lists all
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
FEW_SEEDS = "Two seeds are few: intervals are wide, and large differences may show as ties. Try seed=0,1,2."


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of a comparison, and the files that show it.

    Args:
        title: of the page.
        summary: the result in a sentence or two.
        notes: remarks, in sentences.
        strategies: in the order of the table: best first by validation, grouped by test images.
        rows: of the table, one per strategy.
        flags: cases of negative transfer, in sentences.
        failed: name, status and error of each run that did not finish.
        markdown: the table and the failed runs, short enough for a description in MLflow.
        page: the HTML file.
        files: every file beside it.
    """

    title: str
    summary: str
    notes: tuple[str, ...]
    strategies: tuple[Strategy, ...]
    rows: tuple[Row, ...]
    flags: tuple[str, ...]
    failed: tuple[dict[str, str], ...]
    markdown: str
    page: Path
    files: tuple[Path, ...]

    def print(self, console: Console, with_failures: bool = True) -> None:
        """Print the table, the remarks, the failed runs and the path of the page.

        Args:
            console: where to print.
            with_failures: whether to print the failed runs.
        """
        console.print(f"\n[bold]{escape(self.title)}[/]")
        console.print(self.summary, markup=False)
        if self.rows:
            print_table(self.rows, console)
        for sentence in _first_lines(self.flags, "more, on the page"):
            console.print(f"Negative transfer: {sentence}", markup=False)
        for sentence in self.notes:
            console.print(sentence, markup=False)
        for error, names in self.failures_by_reason().items() if with_failures else ():
            console.print(f"{count_of(len(names), 'run')} without a result: {error}", markup=False, style="red")
            console.print(f"  {', '.join(names)}", markup=False, soft_wrap=True)
        console.print(f"Page: {short_path(self.page)}", markup=False, soft_wrap=True)

    def failures_by_reason(self) -> dict[str, list[str]]:
        """Return the names of the runs that did not finish, by the reason."""
        reasons: dict[str, list[str]] = {}
        for run in self.failed:
            reasons.setdefault(run["error"] or run["status"], []).append(run["name"])
        return reasons


@ignore_missing_glyphs()
def compare(runs: Sequence[Run], directory: Path, title: str = "Comparison") -> Comparison:
    """Compare runs, and write the page, the figures, a CSV and a Markdown table.

    Args:
        runs: in the order in which they were started, finished or not.
        directory: for the output; created if necessary.
        title: of the page.

    Raises:
        HeadstartError: when there is no run.
    """
    from headstart.comparison.page import render_page

    if not runs:
        raise HeadstartError("Expected at least one run to compare. Received: none")
    grouped, unfinished, notes = group_runs(runs)
    strategies = rank_strategies(grouped)
    rows = make_rows(strategies, compare_with_best(strategies))
    flags = [_flag(found) for found in find_negative_transfer(strategies)]
    failed = [
        {"name": name, "status": run.status, "error": _shortened(run.error or "", LONGEST_ERROR)}
        for name, run in unfinished
    ]
    directory.mkdir(parents=True, exist_ok=True)
    curves = learning_curves(strategies)
    drawn, reason = _figures(strategies, rows, curves)
    notes += [curve.describe() for curve in curves]
    notes += [reason] if reason and strategies else []
    notes += [FEW_SEEDS] if any(len(strategy.seeds) == 2 for strategy in strategies) else []
    figures = {}
    for caption, (name, figure) in drawn.items():
        figures[caption] = directory / f"{name}.png"
        save_figure(figure, figures[caption])
    summary = _summary(strategies, rows, len(failed))
    page, table, text = directory / "comparison.html", directory / "comparison.csv", directory / "comparison.md"
    content = {"title": title, "summary": summary, "notes": notes, "flags": flags, "failed": failed, "rows": rows}
    explanations = (*EXPLANATIONS, *([EXPLANATION_OF_CURVES] if curves else []))
    write_text(page, render_page(figures, explanations=explanations, varied=fractions_vary(rows), **content))
    write_csv(rows, table)
    markdown = _markdown(" ".join([summary, *(curve.describe() for curve in curves[:MAX_LISTED])]), rows, flags, failed)
    write_text(text, markdown + "\n")
    files = (table, text, *figures.values())
    return Comparison(
        title, summary, tuple(notes), tuple(strategies), tuple(rows), tuple(flags), tuple(failed), markdown, page, files
    )


def _figures(
    strategies: list[Strategy], rows: list[Row], curves: list[StrategyCurve]
) -> tuple[dict[str, tuple[str, Figure]], str | None]:
    """Return file name and figure by caption, and the reason if there are no images to show."""
    from headstart.comparison import figures, mistakes
    from headstart.comparison.learning_curve_figure import learning_curve_figure

    if not strategies:
        return {}, None
    drawn: dict[str, tuple[str, Figure | None]] = {}
    if any(row.test for row in rows):
        drawn["Test accuracy by strategy"] = "accuracy", figures.accuracy_figure(rows)
    if curves:
        drawn["Accuracy by number of training images"] = "learning_curve", learning_curve_figure(curves)
    drawn["Accuracy against seconds, with the Pareto front"] = "cost", figures.cost_figure(rows)
    drawn["Validation accuracy by epoch"] = "curves", figures.curves_figure(strategies)
    drawn["The best strategy of each scenario"] = "scenarios", figures.scenario_figure(strategies, rows)
    drawn["Which classes each strategy confuses"] = "confusion", mistakes.confusion_figure(strategies)
    pictures, reason = mistakes.picture_figures(strategies)
    for name, figure in pictures.items():
        drawn[name.replace("_", " ").capitalize()] = name, figure
    return {caption: (name, figure) for caption, (name, figure) in drawn.items() if figure is not None}, reason


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


def _markdown(summary: str, rows: list[Row], flags: list[str], failed: list[dict[str, str]]) -> str:
    """Return the summary, the failed runs, the flags, and as much of the table as fits."""
    parts = [plain(summary)]
    lines = [f"{run['status']} {_shortened(run['name'], 120)}: {_shortened(run['error'], 120)}" for run in failed]
    lines += [f"Negative transfer: {_shortened(flag, LONGEST_ERROR)}" for flag in flags]
    listed = [f"- {plain(line)}" for line in _first_lines(lines, "more, in comparison.html")]
    parts += ["\n".join(listed)] if listed else []
    if rows:
        parts.insert(1, markdown_table(rows, LONGEST_MARKDOWN - sum(len(part) + 2 for part in parts)))
    return "\n\n".join(parts)


def _first_lines(lines: Sequence[str], rest: str) -> list[str]:
    """Return the first lines, followed by one that counts the rest."""
    more = len(lines) - MAX_LISTED
    return [*lines[:MAX_LISTED], f"{more} {rest}"] if more > 0 else list(lines)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
