"""`find_lr=true`: a suggestion with its figure, and no run, no classifier, no accuracy."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from headstart.config import compose, scenario_strategies
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.results.file import plain_results
from headstart.results.runs import find_run, finished_runs
from headstart.results.sections import LearningRateSuggestion
from headstart.results.types import RunResults
from headstart.run.experiment import run
from headstart.run.result_display import print_suggestion

ROOT = conf_directory().parent


def find(folder: Path, output: Path, *overrides: str) -> RunResults:
    output.mkdir(parents=True, exist_ok=True)
    return run(compose([*TINY, f"dataset.root={folder}", "find_lr=true", *overrides]), output)


def suggestion(results: RunResults) -> float | None:
    assert results.learning_rate is not None
    return results.learning_rate.suggested_learning_rate


def test_what_a_sweep_leaves_behind(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    output = tmp_path / "runs" / "sweep"
    results = find(folder, output, "freeze=scratch")
    written = {file.relative_to(output).as_posix() for file in output.rglob("*") if file.is_file()}
    assert written == {
        *("config.yaml", "splits.csv", "data_report.json", "run.log"),
        *("learning_rate.csv", "figures/learning_rate.png", "results.json"),
    }
    assert not list(tmp_path.glob("mlflow*"))
    written = json.loads((output / "results.json").read_text())
    assert written == plain_results(results)
    assert written["status"] == "FINISHED"
    assert written["run_id"] is None
    assert "accuracy" not in json.dumps(written)
    assert written["configured_learning_rate"] == 3e-3
    assert 1e-6 < written["suggested_learning_rate"] < 1

    with (output / "learning_rate.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["learning_rate", "loss", "smoothed_loss"]
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[0] == 1e-7
    assert rates == sorted(rates)
    assert all(np.isfinite(float(row["loss"])) for row in rows[:-1])
    with Image.open(output / "figures" / "learning_rate.png") as figure:
        assert figure.width == 900

    assert finished_runs() == []
    with pytest.raises(HeadstartError, match="no run has finished in"):
        find_run("latest")


@pytest.mark.slow
def test_the_cache_gives_the_same_sweep(binary_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    overrides = ("freeze=last_block", "head.output=sigmoid", "head.dropout=0")
    cached = find(binary_folder, tmp_path / "cached", *overrides)
    assert len({file.parent for file in (tmp_path / "cache" / "tables").glob("*/*.rows")}) == 2  # images, activations
    plain = find(binary_folder, tmp_path / "plain", *overrides, "cache=off")
    losses = [
        np.genfromtxt(tmp_path / name / "learning_rate.csv", delimiter=",", names=True)["loss"][:90]
        for name in ("cached", "plain")
    ]
    np.testing.assert_allclose(*losses, rtol=1e-3, atol=1e-4)
    assert suggestion(cached) == pytest.approx(suggestion(plain), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "own", [("freeze.stages.0.optimizer.learning_rate=0.5",), pytest.param((), marks=pytest.mark.slow)]
)
def test_the_printed_command_trains_at_the_suggested_rate(
    own: tuple[str, ...],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [*TINY, f"dataset.root='{folder}'", "freeze=scratch", *own]
    monkeypatch.setattr(sys, "argv", ["run.py", *given, "find_lr=true"])
    rate = suggestion(find(folder, tmp_path, "freeze=scratch", *own))
    printed = capsys.readouterr().out
    assert str(tmp_path / "figures" / "learning_rate.png") in printed
    command = next(line for line in printed.splitlines() if line.strip().startswith("python run.py"))
    words = shlex.split(command)
    assert words[-1] == f"freeze.stages.0.optimizer.learning_rate={rate:g}"
    config = compose(words[2:])
    assert config.freeze.stages[0].optimizer.learning_rate == rate
    assert not config.find_lr


def test_the_printed_command_trains_at_the_suggested_rate_in_every_strategy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["scenario=auto", "head=linear", "optimizer.learning_rate=0.5"]
    command = shlex.join(["python", "run.py", *given, "find_lr=true"])
    found = LearningRateSuggestion(
        stage="head",
        configured_learning_rate=0.5,
        suggested_learning_rate=0.012,
        suggestion_reason="where the smoothed loss falls most steeply",
    )
    print_suggestion(RunResults(run_id=None, output="outputs/runs/one", command=command), found)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    for strategy in scenario_strategies(compose(words[2:])).values():
        first, *others = [stage.optimizer.learning_rate for stage in strategy.freeze.stages]
        assert first == 0.012
        assert 0.012 not in others


def test_a_fitted_head_has_no_learning_rate(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"Expected find_lr=true with .*head=linear.*Received: head=svm"):
        find(folder, tmp_path, "head=svm", "freeze=all")
    assert not (tmp_path / "splits.csv").exists()  # refused before the images were even listed


def test_nothing_is_suggested_where_the_loss_is_never_finite(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = keras.initializers.Constant(float("nan"))
    monkeypatch.setattr(keras.initializers, "GlorotUniform", lambda seed: nothing)
    results = find(folder, tmp_path, "freeze=all", "cache=off")
    assert results.finished
    assert results.learning_rate is not None
    assert results.learning_rate.suggested_learning_rate is None
    assert "never finite" in results.learning_rate.suggestion_reason
    assert (tmp_path / "figures" / "learning_rate.png").exists()
    printed = capsys.readouterr().out
    assert "No learning rate to suggest" in printed
    assert "train with it" not in printed


@pytest.mark.slow
def test_through_the_command_line(folder: Path, tmp_path: Path) -> None:
    command = ["run.py", *TINY, f"dataset.root={folder}", "find_lr=true", f"hydra.run.dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "Suggested learning rate for stage head" in done.stdout
    assert json.loads((tmp_path / "results.json").read_text())["status"] == "FINISHED"
