"""Strategies that differ only in the share of the training images are one learning curve."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from written import configured, write_run

from headstart.comparison import Comparison, Run, compare
from headstart.comparison.learning_curve_figure import learning_curve_figure
from headstart.comparison.learning_curves import learning_curves
from headstart.comparison.significance import compare_with_best
from headstart.comparison.strategies import group_runs
from headstart.comparison.table import make_rows, markdown_table
from headstart.evaluation.learning_curve import LearningCurve
from headstart.results.sections import Dataset

ALL = 1600  # training images
FRACTIONS = (0.125, 0.5, 1.0)
ERRORS = {"all": (0.3, 0.4), "none": (0.2, 0.5)}  # at the fewest images, and the exponent


def write_curves(
    directory: Path,
    fractions: tuple[float, ...] = FRACTIONS,
    seeds: int = 2,
    freezes: tuple[str, ...] = ("all", "none"),
) -> list[Run]:
    """Write the runs of a sweep over strategies, fractions and seeds."""
    runs = []
    for freeze in freezes:
        error, exponent = ERRORS[freeze]
        for fraction in fractions:
            for seed in range(seeds):
                config = configured(f"freeze={freeze}", seed=seed)
                dataset = dataclasses.replace(config.dataset, fraction=fraction, fraction_seed=seed)
                images = {"train": round(ALL * fraction), "validation": 200, "test": 200}
                described = Dataset(
                    name="digits", root=None, fingerprint="0" * 64, images=images, classes=10, image_size=48
                )
                runs.append(
                    write_run(
                        directory / str(len(runs)),
                        dataclasses.replace(config, dataset=dataset),
                        1 - error * (fraction / FRACTIONS[0]) ** -exponent,
                        images=200,
                        dataset=described,
                    )
                )
    return runs


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    directory = tmp_path_factory.mktemp("curves")
    return compare(write_curves(directory), directory / "comparison", "Sweep learning_curve")


def test_each_strategy_has_one_curve_over_its_fractions(comparison: Comparison) -> None:
    curves = learning_curves(comparison.strategies)
    assert {curve.label for curve in curves} == {"freeze=all", "freeze=none"}
    for curve in curves:
        assert [point.images for point in curve.points] == [200, 800, 1600]
        assert curve.split == "test"
        assert isinstance(curve.law, LearningCurve)
        error, exponent = ERRORS[curve.label.removeprefix("freeze=")]
        gain = error * ((1 / FRACTIONS[0]) ** -exponent - (2 / FRACTIONS[0]) ** -exponent)
        assert curve.law.slope.low < gain < curve.law.slope.high
        assert curve.points[-1].accuracy.mean < curve.law.at(2 * ALL).expected < 1


def test_the_comparison_has_the_figure_and_the_sentences(comparison: Comparison) -> None:
    figure = comparison.page.parent / "learning_curve.png"
    assert figure in comparison.files
    page = comparison.page.read_text(encoding="utf-8")
    text = io.StringIO()
    comparison.print(Console(file=text, width=1000))
    for shown in (page, text.getvalue(), comparison.markdown):
        assert "freeze=none: With twice the images (3,200), expect 9" in shown
        assert "; with four times the images (6,400), expect 9" in shown
    assert "Accuracy by number of training images" in page


def test_the_tables_show_images_and_fractions(comparison: Comparison) -> None:
    with (comparison.page.parent / "comparison.csv").open(newline="", encoding="utf-8") as file:
        found = {(float(row["fraction"]), float(row["training_images"])) for row in csv.DictReader(file)}
    assert found == {(fraction, ALL * fraction) for fraction in FRACTIONS}
    for width in (80, 160):
        text = io.StringIO()
        comparison.print(Console(file=text, width=width))
        lines = [line for line in text.getvalue().splitlines() if str(comparison.page) not in line]
        assert max(map(len, lines)) <= width
        assert "(12.5 %)" in text.getvalue()
    assert "| 200 (12.5 %) |" in comparison.markdown
    assert "200 (12.5 %)</td>" in comparison.page.read_text(encoding="utf-8")


def test_a_table_without_fractions_has_no_such_column(tmp_path: Path) -> None:
    strategies, _, _ = group_runs(write_curves(tmp_path, fractions=(1.0,)))
    assert "training images" not in markdown_table(make_rows(strategies, compare_with_best(strategies)), 7000)
    assert learning_curves(strategies) == []


def test_two_fractions_are_drawn_but_not_extrapolated(tmp_path: Path) -> None:
    strategies, _, _ = group_runs(write_curves(tmp_path, fractions=(0.25, 1.0), freezes=("all",)))
    [curve] = learning_curves(strategies)
    assert curve.describe() == "No extrapolation: needs at least 3 numbers of training images, and there are 2."
    [legend] = learning_curve_figure([curve]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["not extrapolated"]


def test_one_run_each_has_wilsons_interval_and_a_wider_extrapolation(tmp_path: Path) -> None:
    curves = [
        learning_curves(group_runs(write_curves(tmp_path / str(seeds), seeds=seeds, freezes=("all",)))[0])[0]
        for seeds in (1, 3)
    ]
    assert {point.accuracy.method for point in curves[0].points} == {"Wilson, one run"}
    assert all(point.seeds == 1 for point in curves[0].points)
    assert all(point.seeds == 3 for point in curves[1].points)
    laws = [curve.law for curve in curves]
    assert all(isinstance(law, LearningCurve) for law in laws)
    widths = [np.ptp(law.at(2 * ALL)[1:]) for law in laws if isinstance(law, LearningCurve)]
    assert widths[1] < widths[0]


def test_the_figure_names_what_it_draws(comparison: Comparison) -> None:
    figure = learning_curve_figure(learning_curves(comparison.strategies))
    [axes] = figure.axes
    assert figure.get_suptitle() == "Test accuracy by number of training images, with 95 % intervals"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training images (logarithmic)", "test accuracy")
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["200", "800", "1,600", "3,200", "6,400"]
    [legend] = figure.legends
    assert [text.get_text().split(":")[0] for text in legend.get_texts()] == ["freeze=none", "freeze=all"]
