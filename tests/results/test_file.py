"""results.json: written as it is read, upgraded from older versions, refused from newer ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.config import compose, to_yaml
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.results.figures import ClassFigures, ConfusedPair, EpochFigures, SplitResults
from headstart.results.file import load_results, plain_results, read_results, write_results
from headstart.results.runs import finished_runs, is_finished, objective
from headstart.results.scenario import ImagesPerClass, Scenario, ScenarioMeasurement, SplitPointProbe
from headstart.results.sections import (
    Dataset,
    Environment,
    LearningRateSuggestion,
    Parameters,
    Recipe,
    Seconds,
    Tracking,
    seconds_of,
)
from headstart.results.types import SCHEMA_VERSION, RunResults

SPLIT = SplitResults(
    images=4,
    accuracy=0.75,
    accuracy_low=0.3,
    accuracy_high=0.95,
    macro_f1=0.7,
    balanced_accuracy=0.75,
    log_loss=0.5,
    calibration_error=0.1,
    most_confused=(ConfusedPair("cat", "dog", 1),),
    per_class=(ClassFigures(name="cat", precision=None, recall=None, f1=None, support=0),),
)
PROBE = SplitPointProbe(split_point="block_1", depth=0.5, channels=8, accuracy=0.5)
RESULTS = RunResults(
    run_id="abcdef",
    status="FINISHED",
    overrides=("seed=1",),
    recipe=Recipe(name=None, published=None),
    scenario=Scenario(
        name="auto",
        cell="small_similar",
        measured=ScenarioMeasurement(
            given=("freeze",),
            why=("few images",),
            images_per_class=ImagesPerClass(median=4.5, least=1, most=8),
            measured_images=9,
            chance=0.5,
            probes=(PROBE,),
            best=PROBE,
            last=PROBE,
            chance_of_gain=None,
            imagenet=None,
            imagenet_missing="no classifier",
        ),
    ),
    dataset=Dataset(
        name="folder",
        root=None,
        fingerprint="f" * 64,
        images={"train": 8},
        classes=2,
        image_size=32,
        value_range=(0.0, 4095.0),
    ),
    environment=Environment(
        commit=None,
        python="3.11.7",
        platform="Linux",
        processors=2,
        visible_gpus=None,
        gpus=(),
        precision="float32",
        inference_backend="tensorflow",
        packages={"numpy": "2.0"},
    ),
    stages={"head": {"test": SPLIT.whole_split()}},
    best_epoch=EpochFigures(
        epoch=2,
        stage="head",
        train_loss=0.1,
        train_accuracy=1.0,
        validation_loss=0.2,
        validation_accuracy=0.75,
        learning_rate=1e-3,
        seconds=1.5,
    ),
    parameters=Parameters(total=10, trainable=0),
    data_wait_fraction={"head": 0.25},
    splits={"validation": SPLIT, "test": SPLIT},
    seconds=seconds_of({"start_up": 1.0, "training": 2.0, "total": 3.0}, 1.5, {"head": 2.0}),
    tracking=Tracking(waiting=0),
)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_results(tmp_path, RESULTS)
    assert read_results(tmp_path) == RESULTS
    assert read_results(tmp_path, "running.json") is None


def test_the_file_has_the_keys_that_other_programs_read(tmp_path: Path) -> None:
    write_results(tmp_path, RESULTS)
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["schema_version"] == SCHEMA_VERSION
    assert written["seconds"] == {"total": 3.0, "start_up": 1.0, "training": 2.0, "first_step": 1.5, "stage_head": 2.0}
    assert written["recipe"] == {"name": None, "published": None}
    assert written["splits"]["test"]["most_confused"] == [["cat", "dog", 1]]
    assert written["splits"]["test"]["per_class"][0]["recall"] is None
    assert "top5_accuracy" not in written["splits"]["test"]
    assert "per_class" not in written["stages"]["head"]["test"]
    assert written["scenario"]["images_per_class"] == {"median": 4.5, "least": 1, "most": 8}
    assert not {"error", "pictures", "reproduces", "stage", "resumed"} & set(written)


def test_a_suggested_learning_rate_stands_among_the_keys_of_the_run(tmp_path: Path) -> None:
    found = LearningRateSuggestion(
        stage="head", configured_learning_rate=0.1, suggested_learning_rate=None, suggestion_reason="noise"
    )
    write_results(tmp_path, RunResults(run_id=None, status="FINISHED", learning_rate=found))
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["suggestion_reason"] == "noise"
    assert written["suggested_learning_rate"] is None
    assert load_results(tmp_path / "results.json").learning_rate == found


def version_2() -> dict[str, Any]:
    """Return the results as the second version wrote them."""
    content = {**plain_results(RESULTS), "schema_version": 2}
    content["environment"]["engine"] = content["environment"].pop("inference_backend")
    return content


def version_1() -> dict[str, Any]:
    """Return the results as the first version wrote them."""
    content = version_2()
    del content["schema_version"]
    content["waiting_for_input"] = content.pop("data_wait_fraction")
    old_probe = {"cut": "block_1", "depth": 0.5, "channels": 8, "accuracy": 0.5}
    content["scenario"] |= {"probes": [old_probe], "best": old_probe, "last": old_probe}
    return content


@pytest.mark.parametrize("written", [version_1, version_2])
def test_earlier_versions_are_upgraded(tmp_path: Path, written: Callable[[], dict[str, Any]]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(written()))
    assert read_results(tmp_path) == RESULTS


# What the first version stored of this configuration: `config_hash` took in more keys then.
FIRST_DIGEST = "e0ddb08ba919029c"


def test_the_digest_of_the_first_version_is_recomputed_from_the_configuration(tmp_path: Path) -> None:
    text = to_yaml(compose(["optimizer.layer_decay=0.5"]))
    (tmp_path / "config.yaml").write_text(
        text.replace("layer_decay", "block_decay").replace("inference_backend", "engine")
    )
    (tmp_path / "results.json").write_text(json.dumps({**version_1(), "config_hash": FIRST_DIGEST}))
    found = read_results(tmp_path)
    assert found == dataclasses.replace(RESULTS, config_hash=config_hash(compose(["optimizer.layer_decay=0.5"])))


@pytest.mark.parametrize("text", ["dataset: [", "3", "head: {mine: 1}"])
def test_the_digest_stays_without_a_configuration_that_can_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(json.dumps({**version_1(), "config_hash": FIRST_DIGEST}))
    assert read_results(tmp_path) == dataclasses.replace(RESULTS, config_hash=FIRST_DIGEST)
    (tmp_path / "config.yaml").write_text(text)
    found = read_results(tmp_path)
    assert found is not None
    assert found.config_hash == FIRST_DIGEST


def test_the_digest_that_this_version_wrote_is_not_recomputed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(compose([])))
    write_results(tmp_path, dataclasses.replace(RESULTS, config_hash="0123456789abcdef"))
    found = read_results(tmp_path)
    assert found is not None
    assert found.config_hash == "0123456789abcdef"


def test_a_run_that_the_first_version_did_not_end_is_read(tmp_path: Path) -> None:
    running = {**version_1(), "status": "RUNNING", "seconds": {}}
    (tmp_path / "running.json").write_text(json.dumps(running))
    assert read_results(tmp_path, "running.json") == dataclasses.replace(RESULTS, status="RUNNING", seconds=None)


def test_unknown_keys_are_ignored_and_missing_ones_are_none(tmp_path: Path) -> None:
    content = {**version_1(), "of_my_own": [1, 2], "dataset": {**version_1()["dataset"], "mine": 3}}
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert read_results(tmp_path) == RESULTS
    (tmp_path / "results.json").write_text('{"run_id": "abcdef", "status": "KILLED"}')
    assert read_results(tmp_path) == RunResults(run_id="abcdef", status="KILLED")
    (tmp_path / "results.json").write_text("{}")
    assert read_results(tmp_path) == RunResults(run_id=None, status="UNFINISHED")


def test_a_newer_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1, "status": 3}))
    for read in (read_results, is_finished):
        with pytest.raises(HeadstartError) as error:
            read(tmp_path)
        assert str(error.value) == (
            f"This run was written by a newer headstart (results schema {SCHEMA_VERSION + 1}, this version reads up to "
            f"{SCHEMA_VERSION}). Update headstart."
        )


def test_runs_of_a_newer_version_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, version in (("old", SCHEMA_VERSION), ("new", SCHEMA_VERSION + 1)):
        directory = tmp_path / "runs" / name
        directory.mkdir(parents=True)
        (directory / "results.json").write_text(json.dumps({**plain_results(RESULTS), "schema_version": version}))
    assert finished_runs(tmp_path) == [(tmp_path / "runs" / "old", RESULTS)]
    assert "Warning: 1 runs are left out. This run was written by a newer headstart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": "two"}, "schema_version is 'two'"),
        ({"schema_version": 0}, "schema_version is 0"),
        ({"status": 3}, "status is 3"),
        ({"seed": True}, "seed is True"),
        ({"dataset": "photos"}, "dataset holds no section but 'photos'"),
        ({"dataset": {"name": "folder", "root": None}}, r"dataset\.fingerprint is missing"),
        (
            {"splits": {"test": {**plain_results(RESULTS)["splits"]["test"], "accuracy": "high"}}},
            r"splits\.test\.accuracy",
        ),
        ({"overrides": ["seed=1", 2]}, r"overrides\.1 is 2"),
        ({"stages": []}, r"stages is \[\]"),
    ],
)
def test_a_value_of_another_type_is_named(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({**plain_results(RESULTS), **change}))
    assert read_results(tmp_path) is None
    with pytest.raises(ValueError, match=says):
        load_results(tmp_path / "results.json")


@pytest.mark.parametrize("text", ['{"run_id": "cc', "[1, 2]", "3", "", '{"scenario": {"probes": 3}}'])
def test_other_files_are_not_results(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    assert read_results(tmp_path) is None


def test_what_a_sweeper_optimizes() -> None:
    assert objective(RESULTS, "accuracy") == 0.75
    assert objective(RESULTS, "accuracy_and_seconds") == (0.75, 3.0)
    assert objective(dataclasses.replace(RESULTS, splits={}), "accuracy") is None


def test_phases_are_those_that_the_run_reached() -> None:
    seconds = Seconds(total=3.0, start_up=1.0, training=2.0, first_step=1.5, stages={"head": 2.0})
    assert seconds.phases() == {"start_up": 1.0, "training": 2.0}
