"""Writes a comparison: the table, the figures, the page; and prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from headstart.comparison.analysis import LONGEST_ERROR, Analysis, analyse
from headstart.comparison.collect import Run
from headstart.comparison.disagreements import Sheet, disagreement_sheets
from headstart.comparison.table import csv_text, markdown_table, plain, print_table, shortened
from headstart.core.console import count_of, short_path
from headstart.core.files import write_text
from headstart.evaluation.writing import ignore_missing_glyphs, save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_MARKDOWN = 7500  # characters; MLflow's limit for a description is 8000
MAX_LISTED = 6  # failed runs and flags in the terminal and in Markdown; the page lists all


@dataclass(frozen=True, eq=False)
class Comparison(Analysis):
    """The result of a comparison, and the files that show it.

    Args:
        title: of the page.
        markdown: the table and the failed runs, short enough for a description in MLflow.
        page: the HTML file.
        files: every file beside it.
    """

    title: str
    markdown: str
    page: Path
    files: tuple[Path, ...]

    def print(self, console: Console, of_sweep: bool = False) -> None:
        """Print the table, the remarks, the failed runs and the path of the page.

        Args:
            console: where to print.
            of_sweep: whether a sweep has just ended, which has printed the title and the failed runs itself.
        """
        if not of_sweep:
            console.print(f"[bold]{escape(self.title)}[/]")
        console.print(self.summary, markup=False)
        if self.rows:
            print_table(self.rows, console)
        for sentence in _first_lines(self.flags, "more, on the page"):
            console.print(f"Negative transfer: {sentence}", markup=False)
        for sentence in self.notes:
            console.print(sentence, markup=False)
        for reason, failures in self.failures_by_reason().items() if not of_sweep else ():
            console.print(f"{count_of(len(failures), 'run')} without a result: {reason}", markup=False, style="red")
            console.print(f"  {', '.join(run.name for run in failures)}", markup=False)
        console.print(f"Page: {short_path(self.page)}", markup=False)


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
    from headstart.comparison.page.render import render_page

    found = analyse(runs)
    directory.mkdir(parents=True, exist_ok=True)
    sheets, no_pictures = disagreement_sheets(found.strategies)
    figures = []
    for name, figure in _figures(found, sheets).items():
        figures.append(directory / f"{name}.png")
        save_figure(figure, figures[-1])
    page, table, text = directory / "comparison.html", directory / "comparison.csv", directory / "comparison.md"
    write_text(page, render_page(found, title, sheets, no_pictures, directory))
    write_text(table, csv_text(found.rows))
    markdown = _markdown(found)
    write_text(text, markdown + "\n")
    return Comparison(**vars(found), title=title, markdown=markdown, page=page, files=(table, text, *figures))


def _figures(found: Analysis, sheets: Sequence[Sheet]) -> dict[str, Figure]:
    """Return the figures for MLflow by file name; the page draws its own, which follow its theme."""
    from headstart.comparison import figures, mistakes
    from headstart.comparison.learning_curve_figure import learning_curve_figure

    strategies, rows = found.strategies, found.rows
    if not strategies:
        return {}
    drawn: dict[str, Figure | None] = {
        "accuracy": figures.accuracy_figure(rows) if any(row.test for row in rows) else None,
        "learning_curve": learning_curve_figure(found.curves) if found.curves else None,
        "cost": figures.cost_figure(rows),
        "curves": figures.curves_figure(strategies),
        "scenarios": figures.scenario_figure(strategies, rows),
        "confusion": mistakes.confusion_figure(strategies),
        **{sheet.name: mistakes.sheet_figure(sheet) for sheet in sheets},
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _markdown(found: Analysis) -> str:
    """Return the summary, the failed runs, the flags, and as much of the table as fits."""
    summary = " ".join([found.summary, *(curve.describe() for curve in found.curves[:MAX_LISTED])])
    parts = [plain(summary)]
    lines = [f"{run.status} {shortened(run.name, 120)}: {shortened(run.error, 120)}" for run in found.failed]
    lines += [f"Negative transfer: {shortened(flag, LONGEST_ERROR)}" for flag in found.flags]
    listed = [f"- {plain(line)}" for line in _first_lines(lines, "more, in comparison.html")]
    parts += ["\n".join(listed)] if listed else []
    if found.rows:
        parts.insert(1, markdown_table(found.rows, LONGEST_MARKDOWN - sum(len(part) + 2 for part in parts)))
    return "\n\n".join(parts)


def _first_lines(lines: Sequence[str], rest: str) -> list[str]:
    """Return the first lines, followed by one that counts the rest."""
    more = len(lines) - MAX_LISTED
    return [*lines[:MAX_LISTED], f"{more} {rest}"] if more > 0 else list(lines)
