"""Finding finished runs again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from headstart.core.errors import HeadstartError
from headstart.results.figures import SplitResults
from headstart.results.file import write_results
from headstart.results.runs import find_run, finished_runs
from headstart.results.sections import Dataset
from headstart.results.types import RunResults


def split(accuracy: float, loss: float) -> SplitResults:
    others = dict.fromkeys(("accuracy_low", "accuracy_high", "macro_f1", "balanced_accuracy"), accuracy)
    return SplitResults(images=10, accuracy=accuracy, log_loss=loss, calibration_error=0.0, **others)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return outputs with three finished runs and some that are none."""
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    texts = {
        "runs/first": json.dumps({"run_id": "aaaa1111", "status": "FINISHED"}),
        "runs/second": json.dumps({"run_id": "aaaa2222", "status": "FINISHED"}),
        "sweeps/today/0": json.dumps({"run_id": "bbbb3333", "status": "FINISHED"}),
        "mlartifacts/headstart/bbbb3333/artifacts": json.dumps({"run_id": "bbbb3333", "status": "FINISHED"}),
        "runs/failed": json.dumps({"run_id": None, "status": "FAILED"}),
        "runs/damaged": '{"run_id": "cccc',
        "runs/other": "[1, 2]",
        "runs/another tool": '{"status": "FINISHED"}',
    }
    for position, (name, text) in enumerate(texts.items()):
        file = tmp_path / name / "results.json"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        os.utime(file, (position, position))
    return tmp_path


def test_finished_runs_oldest_first(place: Path) -> None:
    names = [directory.relative_to(place).as_posix() for directory, _ in finished_runs()]
    assert names == ["runs/first", "runs/second", "sweeps/today/0"]
    assert [results.run_id for _, results in finished_runs(place)] == ["aaaa1111", "aaaa2222", "bbbb3333"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("latest", "sweeps/today/0"), ("bbbb", "sweeps/today/0"), ("aaaa1", "runs/first"), ("aaaa2222", "runs/second")],
)
def test_a_run_by_its_id_or_as_the_latest(place: Path, name: str, found: str) -> None:
    assert find_run(name) == place / found


def test_a_run_by_its_directory(place: Path) -> None:
    assert find_run(str(place / "runs" / "failed")) == place / "runs" / "failed"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aaaa", "several run ids begin with it"),
        ("bbb", "no such"),
        ("nothing", "no such"),
        ("None", "no such"),
    ],
)
def test_names_of_no_single_run(place: Path, name: str, says: str) -> None:
    with pytest.raises(HeadstartError, match=says) as caught:
        find_run(name)
    assert "aaaa1111, aaaa2222, bbbb3333" in str(caught.value)


def test_no_run_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path / "nothing"))
    assert finished_runs() == []
    with pytest.raises(HeadstartError, match="no run has finished in"):
        find_run("latest")


def test_the_best_run_is_that_of_the_highest_validation_accuracy_on_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    # Name, images, validation accuracy and loss, test accuracy; oldest first.
    runs = [("other", "b", 1.0, 0.1, 1.0), ("good", "a", 0.9, 0.2, 0.5), ("sure", "a", 0.9, 0.1, 0.4)]
    runs += [("lucky", "a", 0.8, 0.3, 1.0), ("last", "a", 0.7, 0.3, 0.9)]
    for position, (name, images, accuracy, loss, test) in enumerate(runs):
        splits = {"validation": split(accuracy, loss), "test": split(test, 0.1)}
        dataset = Dataset(name="digits", root=None, fingerprint=images, images={}, classes=2, image_size=32)
        results = RunResults(run_id=name, status="FINISHED", dataset=dataset, splits=splits)
        file = tmp_path / "runs" / name / "results.json"
        file.parent.mkdir(parents=True)
        write_results(file.parent, results)
        os.utime(file, (position, position))
    assert find_run("best") == tmp_path / "runs" / "sure"
