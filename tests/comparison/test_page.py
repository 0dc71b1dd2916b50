"""The page of a comparison as a report: its first screen, its table, its figures, and what did not finish."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_learning_curves import write_curves
from written import configured, write_failed, write_run

from headstart.comparison import Run, analyse
from headstart.comparison.analysis import Failure
from headstart.comparison.charts.series import series_of
from headstart.comparison.page.header import Fact, make_header, predict_command, run_links
from headstart.comparison.page.render import render_page
from headstart.results.sections import Environment
from headstart.results.types import RunResults

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENVIRONMENT = Environment(
    commit=COMMIT,
    python="3.11",
    platform="Linux",
    processors=2,
    visible_gpus=None,
    gpus=(),
    precision="float32",
    inference_backend="tensorflow",
    packages={},
)


def write_two(directory: Path, seeds: int = 2, **arguments: Any) -> list[Run]:
    """Write a frozen strategy and one that is 15 points better, as jobs of a sweep."""
    runs = [
        write_run(
            directory / f"{freeze}{seed}",
            configured(f"freeze={freeze}", seed=seed),
            accuracy,
            seconds=10 if freeze == "all" else 100,
            environment=ENVIRONMENT,
            **arguments,
        )
        for freeze, accuracy in (("all", 0.75), ("none", 0.9))
        for seed in range(seeds)
    ]
    (directory / "sweep.json").write_text(json.dumps({"command": "headstart train -m freeze=all,none"}))
    return runs


def page_of(runs: list[Run], directory: Path) -> str:
    """Return the page of a comparison, without the PNGs beside it."""
    return render_page(analyse(runs), "Sweep two", [], None, directory)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_two(tmp_path_factory.mktemp("sweep"), saved=True, tracking_uri="http://tracker/", experiment_id="7")


@pytest.fixture(scope="module")
def page(sweep: list[Run]) -> str:
    return page_of(sweep, sweep[0].directory.parent / "comparison")


def text_of(html: str) -> str:
    """Return what people read of a part of a page, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_first_screen_names_the_winner_and_what_it_stands_on(sweep: list[Run], page: str) -> None:
    first = page[page.index('<section class="winner"') : page.index('<h2 id="strategies">')]
    assert page.index("<h1>") < page.index('<section class="winner"')
    rows = analyse(sweep).rows
    lead = 100 * (rows[0].test.mean - rows[1].test.mean) if rows[0].test and rows[1].test else 0.0
    for shown in (
        "freeze=none",
        f"{rows[0].accuracy} % 95 % interval {rows[0].interval}",
        f"+{lead:.1f} points over freeze=all ({rows[1].p_value})".replace("<", "&lt;"),
        "seconds a run 100",
        "size 14.3 MB",
        "2 seeds 200 test images no tie with the other strategy",
        "Data digits: 200 training, 200 validation, 200 test images, 10 classes, 48 px",
        "Backbone efficientnet_lite0 (packaged)",
        "Commit 0123456789ab",
        "Command headstart train -m freeze=all,none",
    ):
        assert shown in text_of(first)
    assert re.search(r"Compared 20\d\d-\d\d-\d\d", text_of(first))


def test_the_command_predicts_with_the_winners_best_run(sweep: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    winner = analyse(sweep).strategies[0]
    best = max(winner.runs, key=lambda run: run.results.validation.accuracy if run.results.validation else 0.0)
    assert predict_command(winner) == f"headstart predict {best.directory} IMAGE_OR_FOLDER"
    # What lies among the outputs has a short name.
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(best.directory.parents[1]))
    assert predict_command(winner) == f"headstart predict {str(best.results.run_id)[:8]} IMAGE_OR_FOLDER"
    (best.directory / "classifier").rmdir()
    try:
        assert str(best.results.run_id)[:8] not in str(predict_command(winner))
    finally:
        (best.directory / "classifier").mkdir()


def test_runs_are_linked_where_they_are(sweep: list[Run], page: str, tmp_path: Path) -> None:
    winner = analyse(sweep).strategies[0]
    link = run_links(winner, winner.runs[0].directory.parent / "comparison")[0]
    assert link.name == "seed 0"
    assert link.directory == "../none0/"
    place = f"/#/experiments/7/runs/{winner.runs[0].results.run_id}?workflowType=machine_learning"
    assert link.mlflow == f"http://tracker{place}"
    assert f'href="{link.directory}"' in page
    assert f'href="{link.mlflow}"' in page
    assert "seed 0 files &nbsp; MLflow" in text_of(page)
    # A run that was fetched from a store that `headstart ui` serves.
    local = write_run(tmp_path / "0", configured(), tracking_uri="sqlite:///mlflow.db", experiment_id="7")
    [link] = run_links(analyse([local]).strategies[0], tmp_path)
    assert link.directory is None
    assert str(link.mlflow).startswith("http://127.0.0.1:5000/#/")


def test_the_table_has_a_column_for_each_key_that_varies_and_constants_once(page: str) -> None:
    table = page[page.index("<table>") : page.index("</table>")]
    heads = re.findall(r'<button type="button">([^<]+)</button>', table)
    assert heads[:3] == ["#", "freeze", "test accuracy %"]
    assert table.count('<span class="bar">') == 2
    assert "head=" not in table
    assert "head=linear" in text_of(page[page.index("The same in all") : page.index("<h2", page.index("</table>"))])


def test_the_page_can_be_filtered_sorted_and_copied_from(page: str) -> None:
    assert 'id="filter" type="search"' in page
    assert 'id="order"' in page
    assert 'data-text="freeze=all worse"' in page
    assert page.count("data-copy hidden") == 2  # what predicts, and the sweep's own command
    table = page[page.index("<table>") : page.index("</table>")]
    assert table.count("aria-sort=") == table.count('<th scope="col"') == 11


def test_a_strategy_has_one_colour_everywhere(sweep: list[Run], page: str) -> None:
    found = analyse(sweep)
    assert series_of(found.strategies, found.curves).strategies == (1, 2)
    shapes = set(re.findall(r'class="mark[^"]* (s\d)"[^>]*data-strategy="1"', page))
    assert shapes == {"s1"}
    assert re.search(r'<tr data-strategy="1"[^>]* class="s1"', page)


def test_the_figures_follow_the_theme_and_have_tooltips(page: str) -> None:
    figures = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    assert not [figure for figure in figures if re.search(r"(fill|stroke)=\"#", figure)]
    assert "prefers-color-scheme: dark" in page
    for tip in ("freeze=none\n100 s, validation", "seed 1: ", "95 % interval", "% right\n", "epoch 5: ", " taken for "):
        assert any(tip in title for title in re.findall(r"<title>([^<]+)</title>", page)), tip
    for title in ("Accuracy against seconds", "Every run by strategy", "Differences by class", "by epoch"):
        assert title in page
    assert page.count('<div class="wide"') == page.count('<div class="narrow"') == 4


def test_failures_are_grouped_by_reason_below_the_table(tmp_path: Path) -> None:
    runs = write_two(tmp_path / "runs", seeds=1)
    for number in range(6):
        error = "ValueError: rare" if number == 0 else "OSError: often"
        runs.append(write_failed(tmp_path / f"failed{number}", configured("freeze=gradual", seed=number), error))
    found = analyse(runs)
    reasons = found.failures_by_reason()
    assert [(reason, len(failed)) for reason, failed in reasons.items()] == [
        ("OSError: often", 5),
        ("ValueError: rare", 1),
    ]
    page = page_of(runs, tmp_path / "comparison")
    assert page.count("OSError: often") == 1
    assert page.index("</table>") < page.index('id="failed"') < page.index('id="figures"')
    assert "6 runs did not finish" in page


def test_one_run_leads_nobody(tmp_path: Path) -> None:
    run = write_run(tmp_path / "0", configured(), command="headstart train seed=0")
    header = make_header(analyse([run]), NOW)
    assert header.figures[1].detail == "no other strategy on these images"
    assert header.trust == ("1 seed", "200 test images")
    assert header.predict is None
    assert header.facts[-1] == Fact("Command", "headstart train seed=0", is_command=True)


def test_different_numbers_of_training_images_are_one_data_set(tmp_path: Path) -> None:
    data = next(
        fact
        for fact in make_header(analyse(write_curves(tmp_path, seeds=1, freezes=("all",))), NOW).facts
        if fact.name == "Data"
    )
    assert data.text == "digits: 200 to 1,600 training, 200 validation, 200 test images, 10 classes, 48 px"


def test_nothing_finished_has_no_winner() -> None:
    found = analyse([Run(Path("0"), RunResults(run_id=None, status="FAILED"), None, "ValueError: no")])
    assert found.failed == (Failure("0", "FAILED", "ValueError: no"),)
    assert make_header(found, NOW).figures == ()
