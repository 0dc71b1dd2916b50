"""The table for a paper: LaTeX, Markdown and CSV, with what bold means in the caption."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from written import configured, write_failed, write_run

from headstart.comparison import Analysis, analyse
from headstart.comparison.paper import escape_latex, paper_text
from headstart.core.errors import HeadstartError


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Return the analysis of a best strategy, one that ties with it, and one that is worse."""
    directory = tmp_path_factory.mktemp("paper")
    accuracies = {"all": 0.7, "none": 0.9, "last_block": 0.89}
    return analyse(
        [
            write_run(directory / f"{name}{seed}", configured(f"freeze={name}", seed=seed), accuracy)
            for name, accuracy in accuracies.items()
            for seed in range(3)
        ]
    )


def test_latex_has_the_best_and_the_ties_in_bold(found: Analysis) -> None:
    text = paper_text(found, "latex")
    rows = [line.strip() for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[0] == (r"freeze & accuracy (\%) & 95 \% interval & difference & p & validation (\%) & seconds & MB \\")
    outcomes = {row.strategy: (row.significance.outcome, row.accuracy) for row in found.rows}
    assert [outcome for outcome, _ in outcomes.values()] == ["best", "tie", "worse"]
    for line, row in zip(rows[1:], found.rows, strict=True):
        name = row.settings["freeze"].replace("_", r"\_")
        accuracy = row.accuracy if row.significance.outcome == "worse" else rf"\textbf{{{row.accuracy}}}"
        assert line.startswith(f"{name} & {accuracy} & {row.interval} & ")
    for environment in ("table", "tabular"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}") == 1
    assert r"\begin{tabular}{lrrrrrrr}" in text


def test_the_caption_says_seeds_images_intervals_and_bold(found: Analysis) -> None:
    caption = paper_text(found, "markdown").splitlines()[0]
    for shown in (
        "mean over 3 seeds on 200 test images, with 95 % intervals (t, 3 seeds)",
        "Bold: the strategy with the highest validation accuracy",
        "a paired bootstrap over images and seeds, corrected by Holm's method",
        "The same in all: dataset=digits",
        "head=linear",
    ):
        assert shown in caption
    assert "freeze=" not in caption


def test_markdown_is_the_same_table(found: Analysis) -> None:
    lines = paper_text(found, "markdown").splitlines()
    assert lines[3].count("---") == lines[2].count("|") - 1
    assert f"| **{found.rows[1].accuracy}** | {found.rows[1].interval} |" in lines[5]
    assert len(lines) == 4 + len(found.rows)


def test_csv_has_numbers_and_a_column_for_each_key(found: Analysis) -> None:
    rows = list(csv.DictReader(io.StringIO(paper_text(found, "csv"))))
    assert [row["freeze"] for row in rows] == ["none", "last_block", "all"]
    assert {row["test_images"] for row in rows} == {"200"}
    assert found.rows[0].test is not None
    assert float(rows[0]["test_accuracy"]) == found.rows[0].test.mean


def test_what_latex_would_read_as_commands_is_shown_letter_by_letter() -> None:
    text = r"a_b & 5% {x} \y #1 $z^2 ~ <--> | --"
    assert escape_latex(text) == (
        r"a\_b \& 5\% \{x\} \textbackslash{}y \#1 \$z\textasciicircum{}2 \textasciitilde{} "
        r"\textless{}{-}-\textgreater{} \textbar{} {-}-"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [("-17.5", "$-$17.5"), ("last-block", "last-block"), ("[block1]", "{[}block1]"), ("*", "{*}"), ("", "")],
)
def test_latex_has_minus_signs_and_no_cell_that_the_row_before_would_swallow(text: str, shown: str) -> None:
    assert escape_latex(text) == shown


def test_without_a_finished_run_there_is_no_table(tmp_path: Path) -> None:
    failed = analyse([write_failed(tmp_path / "0", configured(), "ValueError: no")])
    with pytest.raises(HeadstartError, match="Expected a finished run"):
        paper_text(failed, "latex")
