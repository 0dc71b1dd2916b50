"""`headstart compare` finds the runs that are meant."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from headstart.cli import compare as script
from headstart.comparison.select import select_runs
from headstart.tracking import fetch_run, list_run_ids


@pytest.fixture
def place(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return outputs with a sweep whose second job failed."""
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    sweep = tmp_path / "sweeps" / "today"
    shutil.copytree(finished_run, sweep / "0", ignore=shutil.ignore_patterns("figures"))
    (sweep / "1").mkdir()
    config = (finished_run / "config.yaml").read_text()
    (sweep / "1" / "config.yaml").write_text(config.replace("\nseed: 0\n", "\nseed: 7\n"))
    failed = {"run_id": "f" * 32, "status": "FAILED", "error": "ValueError: on purpose", "overrides": ["seed=7"]}
    (sweep / "1" / "results.json").write_text(json.dumps(failed))
    (sweep / "sweep.json").write_text(json.dumps({"name": "today", "parent_run_id": "abcd" * 8}))
    return tmp_path


def results_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


@pytest.mark.parametrize("named", [[], *(pytest.param([name], marks=pytest.mark.slow) for name in ("today", "abcd"))])
def test_the_newest_sweep_or_one_by_its_name(place: Path, named: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(named) == 0
    text = capsys.readouterr().out
    assert "1 finished run of 1 strategy, 1 did not finish" in text.replace("\n", " ")
    assert "1 run without a result" in text
    assert "ValueError: on purpose" in text
    page = place / "sweeps" / "today" / "comparison" / "comparison.html"
    assert "ValueError: on purpose" in page.read_text()
    assert script.main(named) == 0  # what it wrote is no run


@pytest.mark.parametrize("form", ["latex", "markdown", "csv"])
def test_a_table_for_a_paper_is_printed_or_written_and_no_page(
    place: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--format", form]) == 0
    printed = capsys.readouterr().out
    begins = {"latex": "% needs", "markdown": "Test accuracy: mean over 1 seed on ", "csv": "strategy,seeds,"}
    assert printed.startswith(begins[form])
    assert "Sweep" not in printed
    file = place / "table"
    assert script.main(["today", "--format", form, "--output", str(file)]) == 0
    assert file.read_text() == printed.replace("\r\n", "\n")
    assert capsys.readouterr().out == ""
    assert not (place / "sweeps" / "today" / "comparison").exists()
    assert script.main(["--format", form, "--output", str(place / "none" / "table")]) == 1
    assert "Expected a writable file" in capsys.readouterr().err


def test_runs_by_id_and_by_directory(place: Path, finished_run: Path, tmp_path: Path) -> None:
    run_id = results_of(finished_run)["run_id"]
    directory = place / "sweeps" / "today" / "0"
    runs, sweep = select_runs([run_id[:8], str(directory)], None, tmp_path / "fetched")
    assert [run.directory for run in runs] == [directory]
    assert sweep is None


@pytest.mark.parametrize("name", ["latest", "best"])
def test_the_latest_and_the_best_run_have_a_name(place: Path, name: str, tmp_path: Path) -> None:
    shutil.copytree(place / "sweeps" / "today" / "0", place / "runs" / "old")
    accuracies = {"runs/old": 1.0, "sweeps/today/0": 0.5}
    for position, (directory, accuracy) in enumerate(accuracies.items()):
        results = results_of(place / directory)
        results["splits"]["validation"]["accuracy"] = accuracy
        file = place / directory / "results.json"
        file.write_text(json.dumps(results))
        os.utime(file, (position, position))
    [run], sweep = select_runs([name], None, tmp_path / "fetched")
    assert run.directory == place / {"latest": "sweeps/today/0", "best": "runs/old"}[name]
    assert sweep is None


def test_an_experiment_on_this_machine_and_in_the_store(
    place: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = results_of(finished_run)["tracking_uri"]
    for directory in ("0", "1"):
        shutil.rmtree(place / "sweeps" / "today" / directory)
    output = place / "out"
    assert script.main(["--experiment", "headstart", "--tracking-uri", uri, "--output", str(output)]) == 0
    listed = list_run_ids(uri, "headstart")  # of other tests too
    assert results_of(finished_run)["run_id"] in listed
    assert "finished run" in capsys.readouterr().out
    assert (output / "comparison.html").is_file()


def test_a_fetched_run_has_every_file_that_a_comparison_reads(finished_run: Path, tmp_path: Path) -> None:
    results = results_of(finished_run)
    assert results["run_id"] in list_run_ids(results["tracking_uri"], "headstart")
    fetched = fetch_run(results["tracking_uri"], results["run_id"], tmp_path)
    assert results_of(fetched) == results
    for name in ("predictions.csv", "splits.csv", "history.csv", "config.yaml"):
        assert (fetched / name).read_bytes() == (finished_run / name).read_bytes()
    assert results["model_bytes"] == (finished_run / "classifier" / "model.keras").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--experiment", "nobody"], "Expected an experiment with runs"),
        (["ffffffee" * 4], "there is no tracking store at"),
        (["ffffffee"], "(no such directory, sweep or run)\ntip: the last finished runs are "),
        (["latst"], "(no such directory, sweep or run)\ntip: did you mean latest?"),
        (["/proc/nothing/here"], "tip: there is no nothing in /proc"),
        (["x", "--experiment", "y"], "Pass runs or --experiment, not both"),
    ],
)
def test_what_is_not_there(place: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(arguments) == 1
    assert says in capsys.readouterr().err


def test_no_sweep_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    assert script.main([]) == 1
    assert "There is no sweep in" in capsys.readouterr().err
