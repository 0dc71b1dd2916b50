"""The reports of each stage's training, and of the classifier after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import TINY, with_figures
from run_files import rows_of

from headstart.config import compose
from headstart.evaluation import training_report as report
from headstart.evaluation.training_report import report_training
from headstart.run.experiment import run
from headstart.training.history import EpochRecord


def record(epoch: int, stage: str, accuracy: float, loss: float = 1.0) -> EpochRecord:
    return EpochRecord(epoch, stage, 1.0, 0.5, loss, accuracy, 1e-3, 1.0)


def test_each_of_several_stages_has_a_figure_with_its_own_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[int], str, int]] = []
    plain = report.history_figure

    def history_figure(rows: list[dict[str, Any]], title: str, best_epoch: int, source: str) -> Any:
        drawn.append(([row["epoch"] for row in rows], f"{title} of {source}", best_epoch))
        return plain(rows, title, best_epoch, source)

    monkeypatch.setattr(report, "history_figure", history_figure)
    history = [
        *(record(1, "head", 0.5), record(2, "head", 0.9), record(3, "head", 0.9, loss=0.5)),
        *(record(4, "blocks 1/2", 0.7), record(5, "blocks 1/2", 0.6), record(6, "blocks 1/2", 0.7)),
    ]
    with with_figures():
        report_training(history, 3, "birds", tmp_path)
    assert drawn == [
        ([1, 2, 3, 4, 5, 6], f"{report.TITLE} of birds", 3),
        ([1, 2, 3], f"{report.TITLE}: stage head of birds", 3),  # as accurate as the second epoch, with a lower loss
        ([4, 5, 6], f"{report.TITLE}: stage blocks 1/2 of birds", 4),  # as good as the sixth, and earlier
    ]
    names = sorted(file.name for file in (tmp_path / "figures").glob("*.png"))
    assert len(names) == 3
    assert names[:2] == ["history.png", names[1]]
    assert names[1].startswith("history_blocks_1_2_")
    assert names[2] == "history_head.png"


def test_a_single_stage_has_no_figure_of_its_own(tmp_path: Path) -> None:
    report_training([record(1, "head", 0.5), record(2, "head", 0.9)], 2, "birds", tmp_path)
    assert [file.name for file in (tmp_path / "figures").iterdir()] == ["history.png"]


@pytest.fixture(scope="module")
def staged_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of three stages, the first with an odd name, evaluated after each of them."""
    output = tmp_path_factory.mktemp("staged")
    stages = (
        "freeze.stages=[{name: head / new, train: head, epochs: 1}, {name: last, train: last_block, epochs: 1}, "
        "{name: all, train: all, epochs: 1}]"
    )
    run(compose([*TINY, f"dataset.root={folder}", stages, "evaluate_after_each_stage=true"]), output)
    return output


def test_reports_after_each_stage(staged_run: Path) -> None:
    results = json.loads((staged_run / "results.json").read_text())
    assert list(results["stages"]) == ["head / new", "last", "all"]
    for splits in results["stages"].values():
        assert set(splits) == {"validation", "test"}
        assert all(split["images"] == 6 for split in splits.values())
    # The last stage leaves what is saved, and has no report beside the run's own.
    for split, figures in results["stages"]["all"].items():
        assert all(results["splits"][split][key] == value for key, value in figures.items())
    reports = {file.name for file in staged_run.glob("*_report_after_*.csv")}
    assert len(reports) == 4
    assert {"validation_report_after_last.csv", "test_report_after_last.csv"} < reports
    for name in reports:
        assert [row["name"] for row in rows_of(staged_run / name)] == ["blue", "green", "red"]
        assert "macro avg" in (staged_run / name).with_suffix(".txt").read_text()


def test_the_report_after_a_stage_is_of_the_best_epoch_so_far(staged_run: Path) -> None:
    results = json.loads((staged_run / "results.json").read_text())
    history = rows_of(staged_run / "history.csv")
    for position, stage in enumerate(results["stages"], start=1):
        best = max(
            history[:position], key=lambda row: (float(row["validation_accuracy"]), -float(row["validation_loss"]))
        )
        reported = results["stages"][stage]["validation"]
        assert reported["accuracy"] == pytest.approx(float(best["validation_accuracy"]), abs=1e-6)
        assert reported["log_loss"] == pytest.approx(float(best["validation_loss"]), abs=1e-5)


def test_the_figures_after_each_stage_are_tracked(staged_run: Path) -> None:
    results = json.loads((staged_run / "results.json").read_text())
    client = mlflow.MlflowClient(results["tracking_uri"])
    metrics = client.get_run(results["run_id"]).data.metrics
    assert metrics["after_last/test_accuracy"] == pytest.approx(results["stages"]["last"]["test"]["accuracy"])
    first = [key for key in metrics if key.startswith("after_head_new_") and key.endswith("/test_accuracy")]
    assert len(first) == 1
    artifacts = {artifact.path for artifact in client.list_artifacts(results["run_id"])}
    assert {"validation_report_after_last.txt", "test_report_after_last.csv"} < artifacts
    figures = {artifact.path for artifact in client.list_artifacts(results["run_id"], "figures")}
    assert {"figures/history.png", "figures/history_last.png", "figures/history_all.png"} < figures


def test_a_run_draws_its_data_and_each_split_as_pixels_and_as_vectors(folder: Path, tmp_path: Path) -> None:
    with with_figures():
        run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=1"]), tmp_path)
    figures = tmp_path / "figures"
    charts = {"history", "history_head", "history_last_block"}
    for split in ("validation", "test"):
        charts |= {f"{split}_{name}" for name in ("confusion", "confusion_normalized", "calibration", "curves")}
    sheets = {f"{split}_samples" for split in ("train", "validation", "test")}
    sheets |= {f"{split}_{name}" for split in ("validation", "test") for name in ("mistakes", "mistakes_explained")}
    assert {file.stem for file in figures.glob("*.png")} == charts | sheets
    assert {file.stem for file in figures.glob("*.svg")} == charts
    results = json.loads((tmp_path / "results.json").read_text())
    tracked = mlflow.MlflowClient(results["tracking_uri"]).list_artifacts(results["run_id"], "figures")
    assert {Path(artifact.path).name for artifact in tracked} == {file.name for file in figures.iterdir()}


def test_the_report_of_each_class_has_its_areas_under_the_curves(finished_run: Path) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    for row, found in zip(
        rows_of(finished_run / "test_report.csv"), results["splits"]["test"]["per_class"], strict=True
    ):
        assert float(row["roc_auc"]) == found["roc_auc"]
        assert float(row["average_precision"]) == found["average_precision"]
