"""The recipes: what they build, that every group of them can be exchanged, and that they run from end to end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import with_figures
from PIL import Image

from headstart.classifier.saved import load_classifier
from headstart.cli.options import comments
from headstart.config import Config, compose
from headstart.core.paths import conf_directory
from headstart.model.freeze import open_for_training
from headstart.model.network import build_network
from headstart.results.file import plain_results
from headstart.run.experiment import run
from headstart.training.display import count_parameters

CONF = conf_directory()
EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
RECIPES = [name for name in EXPERIMENTS if name != "quick"]
QUICK = ("birds_scratch",)  # with the smallest network
COMPOSED = ("birds_finetune",)
GROUPS = ("dataset", "backbone", "head", "augmentation", "freeze", "optimizer", "tracking", "cache")
SPECIES = ("ALBATROSS", "BALD EAGLE", "BARN OWL", "CROW", "EMPEROR PENGUIN")
SPECIES += ("FLAMINGO", "OSTRICH", "PEACOCK", "PELICAN", "PUFFIN")


@functools.cache
def composed(*overrides: str) -> Config:
    """Return a configuration that several tests look at and none changes."""
    return compose(overrides)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_is_measured_against(name: str) -> None:
    text = " ".join(comments(CONF / "experiment" / f"{name}.yaml"))
    assert "Published" in text
    assert "Measured: " in text
    assert "Departures: " in text
    recipe = composed(f"experiment={name}").recipe
    assert recipe.name == name
    assert recipe.published


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in COMPOSED else [pytest.mark.slow]) for name in EXPERIMENTS]
)
def test_any_group_of_a_recipe_can_be_exchanged_for_another_one_whole(name: str, group: str) -> None:
    free = ["epochs=null", "dataset.fraction=1"]  # a number of epochs replaces those of every stage
    recipe = getattr(composed(f"experiment={name}"), group).name
    option = max(file.stem for file in (CONF / group).glob("*.yaml") if file.stem != recipe)
    mine = dataclasses.asdict(compose([f"experiment={name}", f"{group}={option}", *free]))
    alone = dataclasses.asdict(composed(f"{group}={option}", *free))
    if group == "freeze":  # a stage inherits the run's optimizer, which is another group
        for stage in mine["freeze"]["stages"] + alone["freeze"]["stages"]:
            del stage["optimizer"]
    assert mine[group] == alone[group]


# The layers that a recipe trains, counted as the recipes count them.


def trainable(name: str, *overrides: str, classes: int) -> tuple[int, int]:
    """Return how many parameters of the backbone and of the whole network train in the last stage of a recipe."""
    config = compose([f"experiment={name}", "backbone.weights=none", *overrides])
    network = build_network(config.backbone, config.head, classes, config.image_size, seed=0)
    open_for_training(network, config.freeze.stages[-1].train)
    return tuple(count_parameters(part.trainable_variables) for part in (network.backbone, network.classifier))


def test_the_last_block_of_vgg16_is_block_5() -> None:
    backbone, _ = trainable("birds_finetune", classes=10)
    assert backbone == 7_079_424
    assert trainable("food11", "head=linear", classes=11)[0] == 7_079_424


@pytest.mark.slow
def test_inception_trains_what_comes_after_its_first_249_layers() -> None:
    config = compose(["experiment=birds_inceptionv3", "backbone.weights=none"])
    network = build_network(config.backbone, config.head, 10, config.image_size, seed=0)
    opened = open_for_training(network, config.freeze.stages[-1].train)
    assert count_parameters(network.backbone.trainable_variables) == 11_114_880
    positions = [network.backbone.layers.index(layer) for layer in opened]
    assert min(positions) >= 249
    assert network.backbone.layers[248].name == "mixed8"
    assert {layer.name for layer in opened} == {layer.name for layer in network.backbone.layers[249:] if layer.weights}


def test_dogs_vs_cats_trains_the_head_alone() -> None:
    assert trainable("dogs_vs_cats", classes=2) == (0, 1_605_954)


def test_sign_language_trains_the_last_five_layers_and_the_head() -> None:
    assert trainable("sign_language", classes=10) == (7_079_424, 7_084_554)


def test_the_small_network_is_the_published_one() -> None:
    convolutions = 3 * 3 * 3 * 32 + 32 + 3 * 3 * 32 * 32 + 32 + 3 * 3 * 32 * 64 + 64
    flat = 26 * 26 * 64  # 224 pixels after three convolutions without padding and three poolings
    backbone, everything = trainable("birds_scratch", classes=10)
    assert backbone == convolutions
    assert everything == convolutions + flat * 64 + 64 + 64 * 10 + 10


# From end to end, on tiny pictures in each data set's own layout.


def write(file: Path, label: int, number: int) -> None:
    """Write an image of 24 x 20 pixels whose colour shows its class."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng((label, number)).integers(0, 60, (20, 24, 3))
    color = 190 * np.array([label % 2, label // 2 % 2, label // 4 % 2])
    Image.fromarray((noise + color).astype(np.uint8)).save(file)


def write_folders(root: Path, splits: dict[str, int], classes: tuple[str, ...]) -> Path:
    for split, count in splits.items():
        for label, name in enumerate(classes):
            for number in range(count):
                write(root / split / name / f"{split}{number}.jpg", label, number + 100 * len(split))
    return root


def write_layout(dataset: str, root: Path) -> Path:
    """Write tiny pictures as the data set of this name is published."""
    if dataset == "birds10":
        return write_folders(root, {"train": 2, "valid": 1, "test": 1}, (*SPECIES, "ROBIN"))
    if dataset == "dogs_vs_cats":
        return write_folders(root, {"train": 6, "valid": 2, "test": 3}, ("cat", "dog"))
    if dataset == "sign_language_digits":
        return write_folders(root, {"train": 2, "valid": 1, "test": 1}, tuple("0123456789"))
    if dataset == "cars_vs_flowers":
        return write_folders(root, {"training_set": 6, "test_set": 3}, ("car", "flower"))
    if dataset == "food11":
        for folder, count in {"training": 2, "validation": 1, "evaluation": 1}.items():
            for label in range(11):
                for number in range(count):
                    write(root / folder / f"{label}_{number}.jpg", label, number + 10 * len(folder))
        return root
    assert dataset == "unlabelled"
    for number in range(3):
        write(root / f"photo {number}.jpg", number, number)
    return root


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in RECIPES]
)
def test_every_recipe_runs_in_its_own_layout(name: str, tmp_path: Path) -> None:
    dataset = composed(f"experiment={name}").dataset.name
    root = write_layout(dataset, tmp_path / dataset)
    output = tmp_path / "run"
    output.mkdir()
    size = 75 if "inception" in name else 32
    overrides = [f"dataset.root={root}", "backbone.weights=none", f"image_size={size}", "epochs=1", "steps_per_epoch=2"]
    with contextlib.nullcontext() if name in QUICK else with_figures():
        results = plain_results(run(compose([f"experiment={name}", *overrides]), output))
    assert results == json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert results["status"] == "FINISHED"
    assert results["recipe"]["name"] == name
    classifier = load_classifier(output)
    if name == "classify":
        assert len(classifier.class_names) == 1000
        return
    assert set(results["splits"]) == {"validation", "test"}
    if dataset == "birds10":
        assert classifier.class_names == SPECIES
    if dataset == "food11":
        assert classifier.class_names[:2] == ("Bread", "Dairy product")
    stages = composed(f"experiment={name}").freeze.stages
    assert list(results["parameters"]["trainable_by_stage"]) == [stage.name for stage in stages]
    if len(stages) > 1:  # what fine-tuning gained is visible in one run
        assert list(results["stages"]) == [stage.name for stage in stages]
        for stage in results["stages"].values():
            assert (
                0 <= stage["test"]["accuracy_low"] <= stage["test"]["accuracy"] <= stage["test"]["accuracy_high"] <= 1
            )


@pytest.mark.slow
def test_the_quick_experiment_runs(folder: Path, tmp_path: Path) -> None:
    words = [f"dataset.root={folder}", "dataset=folder", "backbone=small_cnn", "image_size=32", "epochs=1"]
    assert run(compose(["experiment=quick", *words]), tmp_path).finished
