"""The table of a comparison, as rows for the HTML page, as CSV, as Markdown and in the terminal."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from headstart.comparison.naming import Settings
from headstart.comparison.significance import BEST, TIE, Significance
from headstart.comparison.statistics import Interval
from headstart.comparison.strategies import Strategy


@dataclass(frozen=True)
class Row:
    """One strategy's figures."""

    strategy: str
    settings: Settings  # which are its name
    fraction: float  # of the training images
    training_images: float | None
    seeds: int
    folds: int
    finished: int
    failed: int
    test: Interval | None
    test_images: int | None  # of one run
    significance: Significance
    validation_accuracy: float | None
    best_epochs: tuple[int, int] | None
    macro_f1: float | None
    seconds: float | None
    trainable_parameters: float | None
    model_bytes: int | None

    @property
    def training(self) -> str:
        """The number of training images, and their share of all."""
        share = f"{100 * self.fraction:g} %"
        return share if self.training_images is None else f"{self.training_images:,.0f} ({share})"

    @property
    def runs(self) -> str:
        """How many runs the means are over (seeds x folds); "finished of all" if some failed."""
        if self.failed:
            return f"{self.finished} of {self.finished + self.failed}"
        return f"{self.seeds}" if self.folds == 1 else f"{self.seeds} x {self.folds}"

    @property
    def accuracy(self) -> str:
        """The mean test accuracy in percent."""
        return percent(self.test.mean if self.test else None)

    @property
    def interval(self) -> str:
        """The bounds of the interval of the test accuracy in percent."""
        return f"{100 * self.test.low:.1f} to {100 * self.test.high:.1f}" if self.test else "-"

    @property
    def epochs(self) -> str:
        """The range of the runs' best validation epochs."""
        if self.best_epochs is None:
            return "-"
        low, high = self.best_epochs
        return f"{low}" if low == high else f"{low} to {high}"

    @property
    def p_value(self) -> str:
        """The corrected p-value as text."""
        value = self.significance.p_value
        return "" if value is None else "p < 0.001" if value < 0.001 else f"p = {value:.3f}"

    @property
    def points(self) -> str:
        """The difference to the best strategy in percentage points, signed."""
        value = self.significance.difference
        return "" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"

    @property
    def time(self) -> str:
        """The mean seconds of a whole run."""
        return "-" if self.seconds is None else f"{self.seconds:,.0f}" if self.seconds >= 10 else f"{self.seconds:.1f}"

    @property
    def trainable(self) -> str:
        """The number of trainable parameters in the last stage."""
        return "-" if self.trainable_parameters is None else _short(self.trainable_parameters)

    @property
    def size(self) -> str:
        """The size of the saved model in megabytes."""
        return "-" if self.model_bytes is None else f"{self.model_bytes / 1e6:,.1f}"


def make_rows(strategies: Sequence[Strategy], significances: Sequence[Significance]) -> list[Row]:
    """Return a row for each strategy, in the same order."""
    return [
        Row(
            strategy=strategy.label,
            settings=strategy.settings,
            fraction=strategy.config.dataset.fraction,
            training_images=strategy.training_images,
            seeds=len(strategy.seeds),
            folds=len(strategy.folds),
            finished=len(strategy.runs),
            failed=strategy.failed,
            test=strategy.test_accuracy(),
            test_images=strategy.test_images,
            significance=significance,
            validation_accuracy=strategy.validation_accuracy,
            best_epochs=strategy.best_epochs,
            macro_f1=strategy.test_macro_f1,
            seconds=strategy.seconds,
            trainable_parameters=strategy.trainable_parameters,
            model_bytes=strategy.bytes,
        )
        for strategy, significance in zip(strategies, significances, strict=True)
    ]


def fractions_vary(rows: Sequence[Row]) -> bool:
    """Return whether strategies differ in their share of the training images, so that the table shows it."""
    return len({row.fraction for row in rows}) > 1


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent without the percent sign; a dash for None."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def setting_keys(rows: Sequence[Row]) -> list[str]:
    """Return the keys that name the strategies, in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row.settings))


def csv_text(rows: Sequence[Row]) -> str:
    """Return the table as CSV with unrounded numbers, one row per strategy."""
    keys = setting_keys(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(
        [
            *("strategy", "seeds", "folds", "failed_runs"),
            *("test_accuracy", "test_accuracy_low", "test_accuracy_high", "interval", "test_images"),
            *("verdict", "difference_to_best", "p_value", "test"),
            *("validation_accuracy", "best_epoch_lowest", "best_epoch_highest", "test_macro_f1"),
            *("seconds", "trainable_parameters", "model_bytes", "fraction", "training_images"),
            *keys,
        ]
    )
    for row in rows:
        test, significance = row.test, row.significance
        writer.writerow(
            [
                *(row.strategy, row.seeds, row.folds, row.failed),
                *((test.mean, test.low, test.high, test.method) if test else ("", "", "", "")),
                row.test_images,
                *(significance.outcome, significance.difference, significance.p_value, significance.method),
                *(row.validation_accuracy, *(row.best_epochs or ("", "")), row.macro_f1),
                *(row.seconds, row.trainable_parameters, row.model_bytes, row.fraction, row.training_images),
                *(row.settings.get(key, "") for key in keys),
            ]
        )
    return text.getvalue()


def markdown_table(rows: Sequence[Row], most_characters: int) -> str:
    """Return the table as Markdown, leaving out the last rows if it would be too long.

    Args:
        rows: best first.
        most_characters: length limit of the text.
    """
    varied = fractions_vary(rows)
    head = (
        f"| strategy {'| training images ' if varied else ''}| runs | test accuracy % | 95 % interval "
        "| against the best | validation % | best epoch | macro F1 | seconds | trainable | size MB |\n"
        f"| --- {'| ---: ' if varied else ''}| ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    lines, room = [head], most_characters - len(head) - len("\n\n... and 1000 more strategies, in comparison.csv")
    for position, row in enumerate(rows):
        significance = f"{row.significance.outcome} ({row.p_value})" if row.p_value else row.significance.outcome
        cells = [
            plain(row.strategy),
            *([row.training] if varied else []),
            row.runs,
            row.accuracy,
            row.interval,
            significance,
            percent(row.validation_accuracy),
        ]
        line = f"| {' | '.join([*cells, row.epochs, _decimal(row.macro_f1), row.time, row.trainable, row.size])} |"
        room -= len(line) + 1
        if room < 0:
            lines.append(f"\n... and {len(rows) - position:,} more strategies, in comparison.csv")
            break
        lines.append(line)
    return "\n".join(lines)


def plain(text: str) -> str:
    """Return text escaped for one cell of a Markdown table, on one line."""
    return " ".join(html.escape(text, quote=False).replace("|", "\\|").replace("`", "'").split())


@dataclass(frozen=True)
class _Column:
    """A column of the table in the terminal."""

    title: str
    cell: Callable[[Row], str]
    justify: JustifyMethod = "right"


def _significance(row: Row) -> str:
    return ", ".join(part for part in (row.significance.outcome, row.p_value) if part)


TRAINING = _Column("training images", lambda row: row.training)
COLUMNS = (  # from left to right
    _Column("runs", lambda row: row.runs),
    _Column("test %", lambda row: row.accuracy),
    _Column("95 % interval", lambda row: row.interval),
    _Column("against the best", _significance, "left"),
    _Column("validation %", lambda row: percent(row.validation_accuracy)),
    _Column("macro F1", lambda row: _decimal(row.macro_f1)),
    _Column("best epoch", lambda row: row.epochs),
    _Column("seconds", lambda row: row.time),
    _Column("trainable", lambda row: row.trainable),
    _Column("size MB", lambda row: row.size),
)
BY_IMPORTANCE = (1, 2, 3, 0, 7, 4, 9, 5, 8, 6)  # positions; the page and comparison.csv have all columns
NEEDED = 3  # of the most important columns
STYLES = {BEST: "green", TIE: "yellow"}
PADDING = 3  # characters of each column, and of the gap to the next
LONGEST_STRATEGY = 40  # characters; a longer name takes several lines


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Print the table, with as many columns as fit into the terminal.

    Args:
        rows: best first.
        console: where to print.
    """
    columns = _fitting_columns(rows, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("strategy", overflow="fold")
    for column in columns:
        table.add_column(column.title, justify=column.justify, no_wrap=True)
    for row in rows:
        cells = [column.cell(row) for column in columns]
        table.add_row(escape(row.strategy), *cells, style=STYLES.get(row.significance.outcome))
    console.print(table)


def _fitting_columns(rows: Sequence[Row], width: int) -> list[_Column]:
    """Return the most important columns that fit beside the strategies, from left to right."""
    always = [TRAINING] if fractions_vary(rows) else []
    left = width - PADDING - sum(_width(column, rows) for column in always)
    longest = min(LONGEST_STRATEGY, max(len(row.strategy) for row in rows))
    word = max(len(setting) for row in rows for setting in row.strategy.split())
    chosen: list[int] = []
    for position in BY_IMPORTANCE:
        left -= _width(COLUMNS[position], rows)
        # For a result and how far to trust it a strategy takes several lines, a setting on each.
        if left < (min(word, longest) if len(chosen) < NEEDED else longest):
            break
        chosen.append(position)
    return [*always, *(COLUMNS[position] for position in sorted(chosen))]


def _width(column: _Column, rows: Sequence[Row]) -> int:
    """Return how many characters a column takes."""
    return PADDING + max(len(text) for text in (column.title, *(column.cell(row) for row in rows)))


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _short(count: float) -> str:
    """Return a large number with about three digits: 12.8k, 3.4M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g}{unit}" if count < 1000 * size else f"{count / size:,.0f}{unit}"
    return f"{count:.0f}"


def shortened(text: str, characters: int) -> str:
    """Return text, cut to a number of characters."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
