"""A table for a paper, in LaTeX or Markdown, with its caption: what it is over, and what bold means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.comparison.analysis import Analysis
from headstart.comparison.learning_curves import FRACTION
from headstart.comparison.naming import shared_settings, written
from headstart.comparison.significance import BEST, TIE
from headstart.comparison.table import Row, csv_text, fractions_vary, percent, plain, setting_keys
from headstart.core.console import count_of
from headstart.core.errors import HeadstartError, printable

FORMATS = ("latex", "markdown", "csv")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "{-}",  # which keeps LaTeX from making dashes of it
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
METHODS = {"McNemar": "McNemar's exact test", "bootstrap": "a paired bootstrap over images and seeds"}


@dataclass(frozen=True)
class Cell:
    """Text of a cell."""

    text: str
    is_bold: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table with its caption, in no format yet.

    Args:
        caption: in sentences.
        heads: of the columns.
        aligned: `l` or `r` for each column.
        rows: one per strategy, best by validation first.
    """

    caption: str
    heads: tuple[str, ...]
    aligned: str
    rows: tuple[tuple[Cell, ...], ...]


def paper_text(found: Analysis, form: str) -> str:
    """Return the table of a comparison for a paper.

    Args:
        found: by the comparison.
        form: one of FORMATS; CSV has unrounded numbers and no caption.

    Raises:
        HeadstartError: when no run finished.
    """
    if not found.rows:
        raise HeadstartError(f"Expected a finished run for the table. Received: none. {found.summary}")
    if form == "csv":
        return csv_text(found.rows)
    table = paper_table(found)
    return latex(table) if form == "latex" else markdown(table)


def paper_table(found: Analysis) -> PaperTable:
    """Return the table of a comparison: settings, test accuracy with interval, difference to the best, cost.

    Args:
        found: by the comparison, with at least one strategy.
    """
    varied = fractions_vary(found.rows)
    keys = [key for key in setting_keys(found.rows) if not (varied and key == FRACTION)]
    heads = [*keys, *(["training images"] if varied else []), "accuracy (%)", "95 % interval", "difference", "p"]
    heads += ["validation (%)", "seconds", "MB"]
    aligned = "l" * len(keys) + "r" * (len(heads) - len(keys))
    return PaperTable(_caption(found), tuple(heads), aligned, tuple(_cells(row, keys, varied) for row in found.rows))


def latex(table: PaperTable) -> str:
    """Return a table as LaTeX, for a document that uses the package booktabs.

    Args:
        table: with its caption.
    """

    def cell(one: Cell) -> str:
        return f"\\textbf{{{escape_latex(one.text)}}}" if one.is_bold else escape_latex(one.text)

    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escape_latex(table.caption)}}}",
        r"  \label{tab:comparison}",
        f"  \\begin{{tabular}}{{{table.aligned}}}",
        r"    \toprule",
        f"    {' & '.join(map(escape_latex, table.heads))} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(map(cell, row))} \\\\" for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Return text as LaTeX shows it letter by letter, on one line; a negative number gets a minus, not a hyphen."""
    escaped = re.sub(r"[\\~^<>|&%$#_{}]|-(?=-)", lambda match: LATEX[match[0]], " ".join(printable(text).split()))
    if re.fullmatch(r"-[\d.]+", escaped):
        return f"$-${escaped[1:]}"
    # Behind the \\ of the row before, LaTeX would read these as belonging to it.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def markdown(table: PaperTable) -> str:
    """Return a table as Markdown, its caption above it.

    Args:
        table: with its caption.
    """

    def cell(one: Cell) -> str:
        return f"**{plain(one.text)}**" if one.is_bold else plain(one.text)

    rules = ["---" if side == "l" else "---:" for side in table.aligned]
    rows = [list(map(plain, table.heads)), rules, *([cell(one) for one in row] for row in table.rows)]
    return "\n".join([plain(table.caption), "", *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _cells(row: Row, keys: Sequence[str], varied: bool) -> tuple[Cell, ...]:
    """Return one row's cells; the accuracy of the best strategy and of those that tie with it is bold."""
    value = row.significance.p_value
    return (
        *(Cell(row.settings.get(key, "-")) for key in keys),
        *([Cell(f"{row.training_images:,.0f}" if row.training_images is not None else "-")] if varied else []),
        Cell(row.accuracy, is_bold=row.significance.outcome in (BEST, TIE) and row.test is not None),
        Cell(row.interval),
        Cell(row.points or "-"),
        Cell("-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"),
        Cell(percent(row.validation_accuracy)),
        Cell(row.time),
        Cell(row.size),
    )


def _caption(found: Analysis) -> str:
    """Return what the figures are over, what the intervals cover, what bold means, and what all strategies share."""
    rows = found.rows
    if not any(row.test for row in rows):
        sentences = ["There are no test images, so there is no test accuracy."]
    else:
        tested = sorted({row.test_images for row in rows if row.test_images})
        images = " or ".join(f"{number:,}" for number in tested)
        sentences = [
            f"Test accuracy: mean over {_runs(rows)} on {images} test image{'' if tested == [1] else 's'}, with 95 % "
            f"intervals ({'; '.join(dict.fromkeys(row.test.method for row in rows if row.test))})."
        ]
    methods = [METHODS[row.significance.method] for row in rows if row.significance.method]
    if methods:
        sentences.append(
            "Bold: the strategy with the highest validation accuracy, and those whose difference from it, in points, "
            f"is not significant (p > 0.05, {' or '.join(dict.fromkeys(methods))}, corrected by Holm's method)."
        )
    sets = len({strategy.images for strategy in found.strategies})
    sentences += [f"There are {sets} sets of test images; strategies are compared within each."] if sets > 1 else []
    shared = shared_settings([strategy.config for strategy in found.strategies], setting_keys(rows))
    return " ".join([*sentences, f"The same in all: {written(shared)}."])


def _runs(rows: Sequence[Row]) -> str:
    """Return over how many seeds and folds the means are."""
    seeds, folds = sorted({row.seeds for row in rows}), max(row.folds for row in rows)
    text = count_of(seeds[-1], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    return f"{text} of {folds} folds" if folds > 1 else text
