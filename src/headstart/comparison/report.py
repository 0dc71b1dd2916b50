"""From runs to a comparison on disk: the table, the figures, the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from headstart.comparison.collect import Run
from headstart.comparison.significance import NO_TEST, TIE, NegativeTransfer, negative_transfer, ranked, significances
from headstart.comparison.strategies import Strategy, group_runs
from headstart.comparison.table import Row, make_rows, markdown_table, percent, plain, print_table, write_csv
from headstart.core.errors import HeadstartError
from headstart.core.files import write_text
from headstart.evaluation.writing import letters_without_a_font, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_MARKDOWN = 7500  # characters; MLflow's limit for a description is 8000
LONGEST_ERROR = 300  # characters of a failed run's first line
MOST_LISTED = 6  # failed runs and flags, where there is no room for more; the page has all
EXPLANATIONS = (
    "A strategy is all runs that differ in nothing but the seed (or the cross-validation fold); its figures are means "
    "over them. Its name is what differs between the strategies.",
    "The best strategy is the best by validation accuracy. Test images choose nothing, so that their figures stay "
    "honest.",
    "The interval of several seeds is Student's t interval of their mean: how far other seeds would move it, not other "
    "test images. That of one run, or of runs that are all alike, is Wilson's over the test images, and says nothing "
    "about other seeds. Folds share training images, which makes their interval rather too narrow.",
    "Against the best: a paired test on the same test images. One run each is tested by McNemar's exact test, several "
    "seeds by a paired bootstrap over images and seeds. P-values are corrected for the number of strategies (Holm), so "
    "that all verdicts of this table are right together with 95 %. A tie is a difference that the test cannot tell "
    "from none at that level; it does not say that two strategies are equal.",
    "Strategies that were tested on other images are compared with the best one on their own images only; where there "
    "is nothing to compare with, it says other images.",
    "Seconds are those of a whole run. What an earlier run left in the cache makes a later one faster.",
)
FEW_SEEDS = (
    "Two seeds tell little about a third one: intervals are wide, and large differences may be ties. Try seed=0,1,2."
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What runs say side by side, and the files that show it.

    Args:
        title: of the page.
        summary: the result in a sentence or two.
        notes: what else has to be known, in sentences.
        strategies: in the order of the table: best first by validation, those on the same test images together.
        rows: their figures.
        flags: where transfer did harm, in sentences.
        failed: name, status and error of each run that did not finish.
        markdown: the table and what did not finish, short enough for a description in MLflow.
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

    def print(self, console: Console) -> None:
        """Print the table, what did not finish, and where the page is."""
        console.print(f"\n[bold]{escape(self.title)}[/]")
        console.print(self.summary, markup=False)
        if self.rows:
            print_table(self.rows, console)
        for sentence in _some(self.flags, "more, on the page"):
            console.print(f"Negative transfer: {sentence}", markup=False)
        for sentence in self.notes:
            console.print(sentence, markup=False)
        for run in self.failed:
            console.print(f"{run['status']}  {run['name']}\n    {run['error']}", markup=False)
        console.print(f"\n  {self.page}", markup=False, soft_wrap=True)


@letters_without_a_font()
def compare(runs: Sequence[Run], directory: Path, title: str = "Comparison") -> Comparison:
    """Compare runs, and write the page, the figures, a CSV and a Markdown table.

    Args:
        runs: in the order in which they were started, whatever became of them.
        directory: where to; made when it is not there.
        title: of the page.

    Raises:
        HeadstartError: when there is no run.
    """
    from headstart.comparison.page import render_page

    if not runs:
        raise HeadstartError("Expected at least one run to compare. Received: none")
    grouped, unfinished, notes = group_runs(runs)
    strategies = ranked(grouped)
    rows = make_rows(strategies, significances(strategies))
    flags = [_flag(found) for found in negative_transfer(strategies)]
    failed = [
        {"name": name, "status": run.status, "error": _shortened(run.error or "", LONGEST_ERROR)}
        for name, run in unfinished
    ]
    directory.mkdir(parents=True, exist_ok=True)
    drawn, reason = _figures(strategies, rows)
    notes += [reason] if reason and strategies else []
    notes += [FEW_SEEDS] if any(len(strategy.seeds) == 2 for strategy in strategies) else []
    figures = {}
    for caption, (name, figure) in drawn.items():
        figures[caption] = directory / f"{name}.png"
        save_figure(figure, figures[caption])
    summary = _summary(strategies, rows, len(failed))
    page, table, text = directory / "comparison.html", directory / "comparison.csv", directory / "comparison.md"
    content = {"title": title, "summary": summary, "notes": notes, "flags": flags, "failed": failed, "rows": rows}
    write_text(page, render_page(figures, explanations=EXPLANATIONS, **content))
    write_csv(rows, table)
    markdown = _markdown(summary, rows, flags, failed)
    write_text(text, markdown + "\n")
    files = (table, text, *figures.values())
    return Comparison(
        title, summary, tuple(notes), tuple(strategies), tuple(rows), tuple(flags), tuple(failed), markdown, page, files
    )


def _figures(strategies: list[Strategy], rows: list[Row]) -> tuple[dict[str, tuple[str, Figure]], str | None]:
    """Return the figures, each with its file's name, by caption, and why there are no pictures."""
    from headstart.comparison import figures, mistakes

    if not strategies:
        return {}, None
    drawn: dict[str, tuple[str, Figure | None]] = {}
    if any(row.test for row in rows):
        drawn["Test accuracy by strategy"] = "accuracy", figures.accuracy_figure(rows)
    drawn["Accuracy against seconds, with the Pareto front"] = "cost", figures.cost_figure(rows)
    drawn["Validation accuracy by epoch"] = "curves", figures.curves_figure(strategies)
    drawn["The scenarios and their winners"] = "scenarios", figures.scenario_figure(strategies, rows)
    drawn["What is taken for what"] = "confusion", mistakes.confusion_figure(strategies)
    pictures, reason = mistakes.picture_figures(strategies)
    for name, figure in pictures.items():
        drawn[name.replace("_", " ").capitalize()] = name, figure
    return {caption: (name, figure) for caption, (name, figure) in drawn.items() if figure is not None}, reason


def _summary(strategies: list[Strategy], rows: list[Row], failed: int) -> str:
    """Return the result in a sentence or two."""
    runs = sum(len(strategy.runs) for strategy in strategies)
    several = "strategies" if len(strategies) != 1 else "strategy"
    counts = f"{runs} finished runs of {len(strategies)} {several}" + (f", {failed} did not finish" if failed else "")
    if not strategies:
        return f"No run finished; {failed} did not."
    best, first = strategies[0], rows[0]
    same = [row for strategy, row in zip(strategies, rows, strict=True) if strategy.images == best.images]
    ties = sum(row.significance.word == TIE for row in same)
    sentence = f"Best by validation: {best.label}"
    if first.validation_accuracy is not None:
        sentence += f", {percent(first.validation_accuracy)} %"
    if first.test:
        sentence += f"; on the test images {first.accuracy} % ({first.interval})"
    if first.significance.word == NO_TEST:
        sentence += "; there are no test images"
    sentence += f". {ties} other{'s' if ties > 1 else ''} cannot be told apart from it." if ties else "."
    sets = len({strategy.images for strategy in strategies})
    many = f" There are {sets} different sets of test images; each strategy is compared on its own." if sets > 1 else ""
    return f"{counts}. {sentence}{many}"


def _flag(found: NegativeTransfer) -> str:
    low, high = found.strategy.test_accuracy(), found.floor.test_accuracy()
    figures = f"{percent(low.mean)} % against {percent(high.mean)} %" if low and high else ""
    return f"{found.strategy.label} ends below {found.what} {found.floor.label}: {figures} (p = {found.p_value:.2g})."


def _markdown(summary: str, rows: list[Row], flags: list[str], failed: list[dict[str, str]]) -> str:
    """Return summary, what went wrong, and as much of the table as there is room for."""
    parts = [plain(summary)]
    lines = [f"{run['status']} {_shortened(run['name'], 120)}: {_shortened(run['error'], 120)}" for run in failed]
    lines += [f"Negative transfer: {_shortened(flag, LONGEST_ERROR)}" for flag in flags]
    listed = [f"- {plain(line)}" for line in _some(lines, "more, in comparison.html")]
    parts += ["\n".join(listed)] if listed else []
    if rows:
        parts.insert(1, markdown_table(rows, LONGEST_MARKDOWN - sum(len(part) + 2 for part in parts)))
    return "\n\n".join(parts)


def _some(lines: Sequence[str], rest: str) -> list[str]:
    """Return the first lines, and one that says how many more there are."""
    more = len(lines) - MOST_LISTED
    return [*lines[:MOST_LISTED], f"{more} {rest}"] if more > 0 else list(lines)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
