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
from headstart.run.reproduce import configuration_to_reproduce
from headstart.run.strategy import settle_scenario
from headstart.scenario import findings
from headstart.scenario import measure as measuring
from headstart.scenario.measure import images_to_measure, measure_scenario
from headstart.scenario.probes import multi_depth_probe

SMALL = ("image_size=32", "epochs=1", "cache=auto", "scenario.seconds=0")


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
        probe = multi_depth_probe(config, load(config), 48, open_activation_cache(config, 48))
        found.append(measure_scenario(probe))
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


def test_a_run_measures_its_scenario_and_trains_the_best_strategy(measured_run: Path) -> None:
    results = json.loads((measured_run / "results.json").read_text(encoding="utf-8"))
    scenario = results["scenario"]
    assert (scenario["name"], scenario["cell"], scenario["given"]) == ("auto", "small_similar", ["optimizer"])
    assert scenario == json.loads((measured_run / "scenario.json").read_text(encoding="utf-8"))
    assert scenario["measured_images"] == results["dataset"]["images"]["train"]
    assert len(scenario["probes"]) > 20
    assert 0.5 < scenario["multi_depth_accuracy"] <= 1
    assert scenario["strategy"] == scenario["choice"]["strategy"] == "multi_depth"
    assert [trial["strategy"] for trial in scenario["choice"]["trials"]] == ["multi_depth", "head_only"]
    assert results["seconds"]["scenario"] > 0
    assert (measured_run / "figures" / "scenario_probes.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_reproduction_trains_what_was_chosen_and_tries_nothing(
    measured_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = json.loads((measured_run / "scenario.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(findings, "find_strategy", None)
    config, _ = configuration_to_reproduce(compose(["scenario=auto"]), [f"reproduce={measured_run}"], tmp_path)
    again = run(config, tmp_path)
    assert again.reproduces is not None
    assert again.reproduces.verdict == "identical"
    assert plain_results(again)["scenario"] == scenario


def test_a_resumed_run_trains_what_was_chosen(measured_run: Path, tmp_path: Path, binary: Path) -> None:
    """Also if the command composed its configuration again, as that of a sweep's job."""
    recorded = json.loads((measured_run / "scenario.json").read_text(encoding="utf-8"))
    (tmp_path / "scenario.json").write_text(json.dumps({**recorded, "strategy": "last_block"}))
    asked = compose([*SMALL, "dataset=folder", f"dataset.root={binary}", "scenario=auto", "optimizer=sgd"])
    config, scenario = settle_scenario(asked, load(asked), 32, tmp_path, resume=True)
    assert scenario.strategy == "last_block"
    assert (config.head.name, config.freeze.name) == ("linear", "last_block")
    assert from_yaml((tmp_path / "config.yaml").read_text(encoding="utf-8")) == config


def test_a_run_of_an_earlier_version_keeps_what_its_scenario_chose(measured_run: Path, tmp_path: Path) -> None:
    recorded = json.loads((measured_run / "scenario.json").read_text(encoding="utf-8"))
    del recorded["strategy"], recorded["choice"]
    (tmp_path / "scenario.json").write_text(json.dumps(recorded))
    before = compose([*SMALL, "scenario=auto", "freeze=all"])
    before.scenario.strategies = {}
    config, scenario = settle_scenario(before, load(before), 32, tmp_path, resume=True)
    assert (config.freeze.name, scenario.cell, scenario.strategy) == ("all", "small_similar", None)
    (tmp_path / "scenario.json").unlink()
    with pytest.raises(HeadstartError, match="start a new one with scenario=auto"):  # it had not chosen
        settle_scenario(before, load(before), 32, tmp_path, resume=True)


def test_the_tracking_store_knows_scenario_and_strategy(measured_run: Path) -> None:
    results = json.loads((measured_run / "results.json").read_text(encoding="utf-8"))
    client = mlflow.MlflowClient(results["tracking_uri"])
    tracked = client.get_run(results["run_id"]).data
    assert (tracked.tags["scenario"], tracked.tags["strategy"]) == ("small_similar", "multi_depth")
    assert (tracked.params["scenario"], tracked.params["freeze"]) == ("auto", "all")
    assert (tracked.params["optimizer"], tracked.params["freeze.stages.0.optimizer"]) == ("sgd", "sgd")
    artifacts = {item.path for item in client.list_artifacts(results["run_id"])}
    assert "scenario.json" in artifacts
    figures = {item.path for item in client.list_artifacts(results["run_id"], "figures")}
    assert "figures/scenario_probes.png" in figures
    note = tracked.tags["mlflow.note.content"]
    assert "Scenario small_similar, measured:" in note
    assert f"- {results['scenario']['why'][0]}" in note
    assert "Strategy multi_depth, by trials on 16 training images:" in note
    written = from_yaml((measured_run / "config.yaml").read_text(encoding="utf-8"))
    assert (written.head.name, written.freeze.name) == ("multi_depth", "all")
    asked = compose([*SMALL, "dataset=folder", "scenario=auto", "optimizer=sgd"])
    assert tracked.tags["config_hash"] == config_hash(written) == config_hash(asked)
    assert not [key for key in tracked.params if key.startswith(("scenario.cells", "scenario.strategies"))]


@pytest.mark.slow
def test_a_run_prints_what_it_chose_and_what_was_set_explicitly(
    binary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["head=linear", "freeze=all", "augmentation=light", "find_lr=true"]
    run(compose([*SMALL, "dataset=folder", f"dataset.root={binary}", "scenario=auto", *given]), tmp_path)
    printed = capsys.readouterr().out
    assert "Scenario: small_similar, by the features of" in printed
    assert "freeze=all was set explicitly and is kept." in printed
    assert "augmentation=light was set explicitly and is kept." in printed
    assert "Not tried (the time for trials is 0): as given" in printed
    assert "The frozen probe of all depths alone (head=multi_depth freeze=all) has " in printed
    assert "Training with as given: head=linear augmentation=light freeze=all optimizer=adam" in printed
    assert "The median class has 8 training images, fewer than 1,000: small." in printed
    assert "The ImageNet classifier has a mean confidence" in printed
