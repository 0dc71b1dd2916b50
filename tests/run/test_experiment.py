"""One run from a folder of images to its results: what it writes is whole, agrees with itself, and repeats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, write_pictures
from run_files import rows_of

from headstart.classifier.saved import load_classifier
from headstart.config import compose, from_yaml
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.data.files.images import load_image
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.image_size import choose_image_size
from headstart.results.file import load_results, plain_results
from headstart.results.types import SCHEMA_VERSION
from headstart.run.experiment import run


def strict_json(file: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def results(finished_run: Path) -> dict[str, Any]:
    return strict_json(finished_run / "results.json")


def test_results_say_what_ran(results: dict[str, Any], finished_run: Path) -> None:
    assert results["schema_version"] == SCHEMA_VERSION
    assert results["status"] == "FINISHED"
    assert len(results["run_id"]) == 32
    assert results["seed"] == 0
    assert results["command"].startswith("python ")
    assert results["output"] == str(finished_run)
    assert results["dataset"]["images"] == {"train": 18, "validation": 6, "test": 6}
    assert results["dataset"]["image_size"] == 32
    assert results["environment"]["packages"]["keras"].startswith("3.")
    assert results["environment"]["precision"] == "float32"
    assert "error" not in results


def test_results_are_read_back_as_they_were_written(results: dict[str, Any], finished_run: Path) -> None:
    assert plain_results(load_results(finished_run / "results.json")) == results


def test_each_stage_says_how_long_it_waited_for_data(results: dict[str, Any]) -> None:
    assert set(results["data_wait_fraction"]) == set(results["parameters"]["trainable_by_stage"])
    assert all(0 <= share <= 1 for share in results["data_wait_fraction"].values())


def test_accuracy_lies_within_its_interval(results: dict[str, Any]) -> None:
    assert set(results["splits"]) == {"validation", "test"}
    for split in results["splits"].values():
        assert 0 <= split["accuracy_low"] <= split["accuracy"] <= split["accuracy_high"] <= 1
        assert 0 <= split["macro_f1"] <= 1
        assert [row["name"] for row in split["per_class"]] == ["blue", "green", "red"]
        assert sum(row["support"] for row in split["per_class"]) == split["images"] == 6


def test_seconds_of_the_phases_add_up(results: dict[str, Any]) -> None:
    seconds = dict(results["seconds"])
    stages = {name: seconds.pop(name) for name in ("stage_head", "stage_last_block")}
    total, first_step = seconds.pop("total"), seconds.pop("first_step")
    assert seconds["start_up"] + seconds["data"] < first_step < total
    assert set(seconds) == {"start_up", "data", "model", "training", "saving", "evaluation", "tracking"}
    assert sum(seconds.values()) == pytest.approx(total, abs=0.01)
    assert 0 < sum(stages.values()) <= seconds["training"]


def test_parameters_by_stage(results: dict[str, Any]) -> None:
    head, last_block = 64 * 3 + 3, 3 * 3 * 32 * 64 + 64
    everything = head + last_block + 3 * 3 * 32 * 32 + 32 + 3 * 3 * 3 * 32 + 32
    assert results["parameters"] == {
        "total": everything,
        "trainable": head + last_block,
        "trainable_by_stage": {"head": head, "last_block": head + last_block},
    }


def test_the_best_epoch_is_the_one_that_was_evaluated(results: dict[str, Any], finished_run: Path) -> None:
    history = rows_of(finished_run / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3", "4"]
    assert [row["stage"] for row in history] == ["head", "head", "last_block", "last_block"]
    best = max(history, key=lambda row: (float(row["validation_accuracy"]), -float(row["validation_loss"])))
    assert results["best_epoch"]["epoch"] == int(best["epoch"])
    validation = results["splits"]["validation"]
    assert validation["accuracy"] == pytest.approx(float(best["validation_accuracy"]), abs=1e-6)
    assert validation["log_loss"] == pytest.approx(float(best["validation_loss"]), abs=1e-5)


def test_predictions_agree_with_the_results_and_the_saved_classifier(
    results: dict[str, Any], finished_run: Path, folder: Path
) -> None:
    rows = rows_of(finished_run / "predictions.csv")
    classifier = load_classifier(finished_run)
    for split in ("validation", "test"):
        of_split = [row for row in rows if row["split"] == split]
        right = [row["label"] == row["predicted"] for row in of_split]
        assert np.mean(right) == pytest.approx(results["splits"][split]["accuracy"])
        assert [row["correct"] == "1" for row in of_split] == right
        assert all(row["path"].startswith(f"{row['label']}/") for row in of_split)
        said = np.array([[float(row[f"probability_{name}"]) for name in classifier.class_names] for row in of_split])
        images = np.stack([load_image(folder / row["path"], 32, "stretch") for row in of_split])
        np.testing.assert_allclose(said, classifier.probabilities(images), atol=1e-5)
        assert [row["predicted"] for row in of_split] == [classifier.class_names[best] for best in said.argmax(axis=1)]
        np.testing.assert_allclose([float(row["confidence"]) for row in of_split], said.max(axis=1), atol=1e-6)


def test_splits_read_back_as_a_table(finished_run: Path, folder: Path) -> None:
    overrides = ["dataset=csv", f"dataset.csv={finished_run / 'splits.csv'}", f"dataset.root={folder}"]
    again = load_index(compose(overrides).dataset, finished_run)
    first = load_index(compose([*TINY, f"dataset.root={folder}"]).dataset, finished_run)
    assert again.class_names == first.class_names == ("blue", "green", "red")
    assert again.paths == first.paths
    assert again.splits.tolist() == first.splits.tolist()
    assert again.labels.tolist() == first.labels.tolist()


def test_files_for_people(finished_run: Path) -> None:
    assert "macro avg" in (finished_run / "test_report.txt").read_text()
    assert strict_json(finished_run / "data_report.json")["unreadable"] == []
    assert not [file for file in finished_run.rglob("*") if "partial" in file.name]


def test_the_written_configuration_runs_the_same(finished_run: Path, folder: Path) -> None:
    config = from_yaml((finished_run / "config.yaml").read_text(encoding="utf-8"))
    assert config == compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"])
    other = compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", "tracking.experiment=other"])
    assert config_hash(config) == config_hash(other)
    other.optimizer.learning_rate = 1e-3
    assert config_hash(config) != config_hash(other)


def without_time(directory: Path) -> list[dict[str, str]]:
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in rows_of(directory / "history.csv")
    ]


def test_the_same_seed_gives_the_same_figures(
    results: dict[str, Any], finished_run: Path, folder: Path, tmp_path: Path
) -> None:
    run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"]), tmp_path)
    assert strict_json(tmp_path / "results.json")["splits"] == results["splits"]
    assert without_time(tmp_path) == without_time(finished_run)


@pytest.mark.slow
def test_another_seed_gives_other_figures_on_the_same_splits(
    results: dict[str, Any], finished_run: Path, folder: Path, tmp_path: Path
) -> None:
    run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", "seed=1"]), tmp_path)
    assert strict_json(tmp_path / "results.json")["splits"] != results["splits"]
    assert without_time(tmp_path) != without_time(finished_run)
    assert (tmp_path / "splits.csv").read_bytes() == (finished_run / "splits.csv").read_bytes()


@pytest.mark.slow
def test_the_same_command_gives_the_same_figures_in_another_process(
    results: dict[str, Any], finished_run: Path, folder: Path, tmp_path: Path
) -> None:
    command = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", f"hydra.run.dir={tmp_path}"]
    subprocess.run([sys.executable, conf_directory().parent / "run.py", *command], check=True, capture_output=True)
    assert strict_json(tmp_path / "results.json")["splits"] == results["splits"]
    assert without_time(tmp_path) == without_time(finished_run)


@pytest.mark.slow
def test_names_of_any_kind_and_no_test_split(tmp_path: Path) -> None:
    names = {"[red] car": 6, "Käfer, 'small' \"quoted\"": 6, "猫": 6}
    root = write_pictures(tmp_path / "pictures [1]", names)
    output = tmp_path / "run [bold]"
    output.mkdir()
    results = run(
        compose([*TINY, f"dataset.root='{root}'", "freeze=scratch", "epochs=1", "dataset.split.test=0"]), output
    )
    assert list(results.splits or {}) == ["validation"]
    assert {row["split"] for row in rows_of(output / "predictions.csv")} == {"validation"}
    assert {row["label"] for row in rows_of(output / "predictions.csv")} == set(names)
    assert set(load_classifier(output).class_names) == set(names)


@pytest.mark.slow
def test_mixed_precision_trains_and_saves_a_float32_classifier(binary_folder: Path, tmp_path: Path) -> None:
    overrides = ["freeze=scratch", "epochs=1", "precision=mixed_float16", "head.output=sigmoid"]
    results = run(compose([*TINY, f"dataset.root={binary_folder}", *overrides]), tmp_path)
    assert results.environment is not None
    assert results.environment.precision == "mixed_float16"
    classifier = load_classifier(tmp_path)
    assert {layer.dtype_policy.name for layer in classifier.model.layers} == {"float32"}
    assert {weight.dtype for weight in classifier.model.weights} == {"float32"}
    rows = rows_of(tmp_path / "predictions.csv")
    images = np.stack([load_image(binary_folder / row["path"], 32, "stretch") for row in rows])
    said = [[float(row["probability_cat"]), float(row["probability_dog"])] for row in rows]
    np.testing.assert_allclose(said, classifier.probabilities(images), atol=1e-5)
    right = [row["label"] == row["predicted"] for row in rows if row["split"] == "test"]
    assert results.test is not None
    assert results.test.accuracy == pytest.approx(np.mean(right))


def test_image_size_suits_the_dataset_and_the_backbone() -> None:
    entry = get_entry("inceptionv3")
    assert choose_image_size(compose(["dataset=folder", "image_size=100"]), entry) == 100
    assert choose_image_size(compose(["dataset=folder"]), entry) == 299
    assert choose_image_size(compose(["dataset=folder", "dataset.suggested_image_size=32"]), entry) == 75
    assert choose_image_size(compose(["dataset=folder", "dataset.suggested_image_size=128"]), entry) == 128


def test_a_failed_run_says_why_and_leaves_no_half_results(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"dataset\.root"):
        run(compose([*TINY]), tmp_path)
    results = strict_json(tmp_path / "results.json")
    assert results["status"] == "FAILED"
    assert results["run_id"] is None
    assert "dataset.root" in results["error"]
    assert results["seconds"]["total"] >= 0
    assert not (tmp_path / "classifier").exists()
