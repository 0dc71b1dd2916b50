"""Measuring a scenario, the images it uses, and a run that trains with the measured scenario."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import write_pictures

from headstart.config import Config, compose, from_yaml
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.features.activation_cache import open_activation_cache
from headstart.results.file import plain_results
from headstart.run.experiment import run
from headstart.scenario import measure as measuring
from headstart.scenario.measure import images_to_measure, measure_scenario

SMALL = ("image_size=32", "epochs=1", "cache=auto")


def load(config: Config) -> ImageIndex:
    index = load_index(config.dataset, cache_directory())
    return check_images(index, config.dataset.bad_images, cache_directory())[0]


def index_of(counts: dict[str, int]) -> ImageIndex:
    """Return an index of two classes with so many images in each split, three quarters of them of the first class."""
    splits = np.concatenate([[name] * count for name, count in counts.items()]).astype("<U10")
    labels = (np.arange(len(splits)) % 4 == 0).astype(np.int32)
    return ImageIndex(Path(), ("a", "b"), tuple(map(str, range(len(splits)))), labels, splits)


def test_only_training_images_are_measured_and_not_more_than_needed() -> None:
    few = images_to_measure(index_of({"train": 40, "validation": 10, "test": 10}), 0)
    assert few.paths == tuple(map(str, range(40)))
    many = index_of({"train": 8000, "validation": 10, "test": 10})
    first, again, other = (images_to_measure(many, seed) for seed in (0, 0, 1))
    assert len(first) == measuring.MAX_IMAGES
    assert set(first.splits) == {"train"}
    assert np.bincount(first.labels).tolist() == [750, 250]
    assert first.paths == again.paths != other.paths


def test_many_classes_keep_some_images_each() -> None:
    labels = np.arange(20_000, dtype=np.int32) % 500
    names, paths = tuple(map(str, range(500))), tuple(map(str, range(20_000)))
    index = ImageIndex(Path(), names, paths, labels, np.full(20_000, "train"))
    measured = images_to_measure(index, 0)
    assert set(np.bincount(measured.labels)) == {measuring.MIN_PER_CLASS}


@pytest.mark.slow
def test_handwritten_digits_are_small_and_different_whatever_the_run_s_seed() -> None:
    found = []
    for seed in (0, 1):
        config = compose(["image_size=48", "dataset.fraction=0.1", f"seed={seed}"])
        found.append(measure_scenario(config, load(config), 48, open_activation_cache(config, 48)))
    assert found[0] == found[1]
    placement = found[0]
    assert placement.cell == "small_different"
    assert placement.measured_images == 106 or 100 < placement.measured_images < 115
    assert placement.best.depth < placement.last.depth == 1
    assert placement.best.accuracy > placement.last.accuracy > placement.chance
    assert 0 < placement.imagenet.confidence < 1


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["backbone=small_cnn"], "Received: backbone=small_cnn .*choose backbone=efficientnet_lite0"),
        (["backbone.weights=none"], "backbone.weights=none; choose"),
        (["dataset=unlabelled", "head=imagenet"], "dataset=unlabelled head=imagenet, which train nothing"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(overrides: list[str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=expected):
        run(compose([*overrides, "scenario=auto"]), tmp_path)
    assert not (tmp_path / "splits.csv").exists()


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("auto"), {"cat": 12, "dog": 12})


@pytest.fixture(scope="module")
def measured_run(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("measured")
    run(compose([*SMALL, "dataset=folder", f"dataset.root={binary}", "scenario=auto", "optimizer=sgd"]), output)
    return output


def test_a_run_measures_its_scenario(measured_run: Path) -> None:
    results = json.loads((measured_run / "results.json").read_text(encoding="utf-8"))
    scenario = results["scenario"]
    assert (scenario["name"], scenario["cell"], scenario["given"]) == ("auto", "small_similar", ["optimizer"])
    assert scenario == json.loads((measured_run / "scenario.json").read_text(encoding="utf-8"))
    assert scenario["measured_images"] == results["dataset"]["images"]["train"]
    assert len(scenario["probes"]) > 20
    assert 0.5 < scenario["multi_depth_accuracy"] <= 1
    assert results["seconds"]["scenario"] > 0
    assert (measured_run / "figures" / "scenario_probes.png").stat().st_size > 10_000


@pytest.mark.slow
def test_measuring_leaves_no_trace_in_what_is_trained(measured_run: Path, binary: Path, tmp_path: Path) -> None:
    results = json.loads((measured_run / "results.json").read_text(encoding="utf-8"))
    other = [*SMALL, "dataset=folder", f"dataset.root={binary}", "scenario=small_similar", "optimizer=sgd"]
    named = plain_results(run(compose(other), tmp_path))
    assert named["scenario"] == {"name": "small_similar", "cell": "small_similar"}
    assert named["splits"] == results["splits"]
    assert named["parameters"] == results["parameters"]


def test_the_tracking_store_knows_the_scenario(measured_run: Path) -> None:
    results = json.loads((measured_run / "results.json").read_text(encoding="utf-8"))
    client = mlflow.MlflowClient(results["tracking_uri"])
    tracked = client.get_run(results["run_id"]).data
    assert tracked.tags["scenario"] == "small_similar"
    assert (tracked.params["scenario.name"], tracked.params["freeze.name"]) == ("auto", "all")
    assert (tracked.params["optimizer.name"], tracked.params["freeze.stages.0.optimizer.name"]) == ("sgd", "sgd")
    artifacts = {item.path for item in client.list_artifacts(results["run_id"])}
    assert "scenario.json" in artifacts
    figures = {item.path for item in client.list_artifacts(results["run_id"], "figures")}
    assert "figures/scenario_probes.png" in figures
    note = tracked.tags["mlflow.note.content"]
    assert "Scenario small_similar, measured:" in note
    assert f"- {results['scenario']['why'][0]}" in note
    written = from_yaml((measured_run / "config.yaml").read_text(encoding="utf-8"))
    assert written.freeze.name == "all"
    asked = compose([*SMALL, "dataset=folder", "scenario=auto", "optimizer=sgd"])
    assert tracked.tags["config_hash"] == config_hash(written) == config_hash(asked)
    assert not [key for key in tracked.params if key.startswith("scenario.cells")]


@pytest.mark.slow
def test_a_run_prints_what_it_chose_and_what_was_set_explicitly(
    binary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*SMALL, "dataset=folder", f"dataset.root={binary}", "scenario=auto", "freeze=all", "find_lr=true"]
    run(compose(overrides), tmp_path)
    printed = capsys.readouterr().out
    assert "-> small_similar" in printed
    assert "freeze=all was set explicitly and is kept." in printed
    assert "The frozen probe of all depths alone (head=multi_depth freeze=all) has " in printed
    assert "Training with scenario=small_similar." in printed
    assert "The median class has 8 training images, fewer than 1,000: small." in printed
    assert "The ImageNet classifier has a mean confidence" in printed
