"""The page, the figures and the tables of a comparison."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_pictures
from PIL import Image
from rich.console import Console
from written import configured, write_failed, write_run, write_sweep

from headstart.comparison import Comparison, compare
from headstart.comparison.figures import pareto_front
from headstart.comparison.table import print_table
from headstart.core.errors import HeadstartError

EVIL = ("<script>alert(1)</script>", "a | b $x_1$", "[red]c[/red]")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Return a comparison of two strategies of two seeds with names that mean harm, and a failed run."""
    directory = tmp_path_factory.mktemp("small")
    for split in ("test",):
        for position, name in enumerate(EVIL):
            folder = f"{name}".replace("<", "(")
            write_pictures(directory / "pictures" / split, {folder: 0})
            for number in range(position, 120, len(EVIL)):
                Image.new("RGB", (8, 8)).save(directory / "pictures" / split / folder / f"{number:04}.png")
    runs = []
    for name, accuracy in (("all", 0.7), ("none", 0.9)):
        for seed in (0, 1):
            config = configured(f"freeze={name}", seed=seed)
            runs.append(
                write_run(
                    directory / str(len(runs)),
                    config,
                    accuracy,
                    images=120,
                    classes=EVIL,
                    root=directory / "pictures",
                    seconds=10 + 100 * (name == "none"),
                )
            )
    error = "ValueError: <img src=x onerror=alert(2)> | [bold]no[/bold]\nTraceback"
    runs.append(write_failed(directory / "4", configured(seed=2), error, overrides=("seed=2", "<b>")))
    return compare(runs, directory / "comparison", "<script>alert(3)</script>")


def printed(comparison: Comparison, width: int) -> str:
    text = io.StringIO()
    comparison.print(Console(file=text, width=width, highlight=False))
    return text.getvalue()


def test_all_files_are_written(small: Comparison) -> None:
    names = {file.name for file in small.page.parent.iterdir()}
    figures = {"accuracy.png", "cost.png", "curves.png", "confusion.png", "only_the_best_is_right.png"}
    assert {"comparison.html", "comparison.csv", "comparison.md", *figures} <= names
    assert {file.name for file in small.files} == names - {"comparison.html"}
    for file in small.files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert image.width >= 200


def test_the_page_is_self_contained_and_escaped(small: Comparison) -> None:
    page = small.page.read_text(encoding="utf-8")
    assert "alert(3)&lt;/script&gt;" in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert "<code>seed=2 &lt;b&gt;</code>" in page
    assert page.count("&lt;script&gt;alert(1)") > 2  # the name of a class, in figures
    sources = re.findall(r"src=\"([^\"]{,12})", page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"url\(|@import|https?://|<link rel=\"(?!icon)", page)


def test_the_csv_holds_the_figures_as_numbers(small: Comparison) -> None:
    with (small.page.parent / "comparison.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["strategy"] for row in rows] == ["freeze=none", "freeze=all"]
    assert [row["verdict"] for row in rows] == ["best", "worse"]
    best = small.strategies[0]
    mean = sum(run.results.test.accuracy for run in best.runs if run.results.test) / 2
    assert float(rows[0]["test_accuracy"]) == pytest.approx(mean)
    assert float(rows[0]["seconds"]) == 110
    assert float(rows[1]["p_value"]) < 0.05


def test_the_markdown_is_the_table_with_what_failed(small: Comparison) -> None:
    assert "| freeze=none | 2 |" in small.markdown
    assert (
        "FAILED seed=2 &lt;b&gt;: ValueError: &lt;img src=x onerror=alert(2)&gt; \\| [bold]no[/bold]" in small.markdown
    )
    assert all(line.count(" | ") == 10 for line in small.markdown.splitlines() if line.startswith("| freeze"))


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_shows_the_same(small: Comparison, width: int) -> None:
    text = printed(small, width)
    assert max(map(len, text.replace(str(small.page), "").splitlines())) <= width
    for shown in (
        "freeze=none",
        "freeze=all",
        "best",
        "worse",
        small.rows[0].accuracy,
        "1 run without a result",
        "seed=2 <b>",
        "alert(2)",
    ):
        assert shown in text


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_long_strategy_keeps_its_words_and_the_verdict_its_column(small: Comparison, width: int) -> None:
    name = "head=logistic_regression freeze=last_two_blocks"
    text = io.StringIO()
    rows = [dataclasses.replace(row, strategy=name) for row in small.rows]
    print_table(rows, Console(file=text, width=width, highlight=False))
    found = text.getvalue()
    assert {"test %", "95 % interval", "against the best"} <= set(re.split(r"\s{2,}", found.splitlines()[0].strip()))
    assert all(found.count(word) == len(rows) for word in name.split())
    assert max(map(len, found.splitlines())) <= width


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    directory = tmp_path_factory.mktemp("large")
    return compare(write_sweep(directory, images=100), directory / "comparison", "sixty")


@pytest.mark.slow
def test_sixty_strategies(large: Comparison) -> None:
    assert len(large.rows) == 60
    assert large.page.read_text(encoding="utf-8").count('<th scope="row"') == 60
    assert len(large.markdown) < 8000
    assert re.search(r"\.\.\. and \d+ more strategies, in comparison.csv", large.markdown)
    assert max(map(len, printed(large, 80).replace(str(large.page), "").splitlines())) <= 80


@pytest.mark.slow
def test_many_classes_show_the_recalls_that_differ_most(tmp_path: Path) -> None:
    classes = tuple(f"class {number}" for number in range(120))
    runs = [
        write_run(tmp_path / str(i), configured(f"freeze={name}"), accuracy, images=240, classes=classes)
        for i, (name, accuracy) in enumerate((("all", 0.7), ("none", 0.9)))
    ]
    comparison = compare(runs, tmp_path / "comparison")
    with Image.open(comparison.page.with_name("confusion.png")) as image:
        assert image.height < 1000


def test_nothing_finished(tmp_path: Path) -> None:
    runs = [write_failed(tmp_path / "0", configured(), "ValueError: no", status="KILLED")]
    comparison = compare(runs, tmp_path / "comparison")
    assert comparison.rows == ()
    assert "No run finished" in comparison.summary
    assert "KILLED" in comparison.page.read_text(encoding="utf-8")
    assert "ValueError: no" in printed(comparison, 80)
    with pytest.raises(HeadstartError, match="at least one run"):
        compare([], tmp_path / "none")


def test_one_run_alone(tmp_path: Path) -> None:
    comparison = compare([write_run(tmp_path / "0", configured())], tmp_path / "comparison")
    assert [row.significance.outcome for row in comparison.rows] == ["best"]


def test_the_pareto_front_holds_points_that_no_other_beats_in_both() -> None:
    assert pareto_front([(10, 0.5), (20, 0.9), (15, 0.4), (20, 0.8), (30, 0.9), (5, 0.3)]) == [5, 0, 1]


def test_comparing_needs_no_tensorflow() -> None:
    code = "import sys, headstart.comparison; sys.exit('tensorflow' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
