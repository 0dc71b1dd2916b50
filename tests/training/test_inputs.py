"""The input of a stage: training is the same with and without cached activations."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, write_pictures
from tiny import values_of

from headstart.cache.store import Cache
from headstart.config import Config, HeadOnly, compose
from headstart.data import pipeline
from headstart.data.augmentation import Augmentation
from headstart.data.files.checks import check_images
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.data.pixel_cache import Pixels
from headstart.features.activation_cache import ActivationCache, Views
from headstart.features.boundary import frozen_boundary
from headstart.model.network import Network, build_network
from headstart.training.hardware import seed_everything
from headstart.training.inputs import ImageInputs
from headstart.training.linear_head import fit_linear_head
from headstart.training.settings import StageCallbacks, TrainingSettings
from headstart.training.stages import TrainingResult, train_stages


def prepare(config: Config, cache: Path) -> tuple[Network, ImageIndex, ImageInputs]:
    """Return what a run would train, on its folder of pictures."""
    seed_everything(config.seed, deterministic=True, precision="float32")
    index, _ = check_images(load_index(config.dataset, cache), "fail", cache)
    network = build_network(config.backbone, config.head, len(index.class_names), config.image_size, config.seed)
    store = Cache(cache / "tables", config.cache.max_gb * 1e9)
    pixels = Pixels(config.image_size, config.dataset.resize, store if config.cache.images else None)
    return network, index, ImageInputs(config, index, ActivationCache(store, pixels))


def trained(config: Config, cache: Path) -> tuple[TrainingResult, np.ndarray, ImageInputs]:
    """Train, and return what the classifier says about the test images too."""
    network, index, inputs = prepare(config, cache)
    result = train_stages(network, config.freeze.stages, inputs, TrainingSettings(config.head, config.seed))
    test = index.split("test")
    images = np.stack([load_image(test.file(i), config.image_size, "stretch") for i in range(len(test))])
    return result, network.classifier(images.astype(np.float32), training=False).numpy(), inputs


@pytest.mark.parametrize(
    "overrides",
    [
        ("freeze=last_block",),
        ("freeze=all", "head.output=sigmoid", "dataset.classes=[red,blue]", "class_weight=balanced"),
        pytest.param(("freeze=surgical", "freeze.stages.1.train={blocks: [block2]}"), marks=pytest.mark.slow),
        pytest.param(("freeze=all", "head=flatten64_bn"), marks=pytest.mark.slow),
        pytest.param(
            (
                "freeze=two_thirds",
                "backbone=efficientnet_lite0",
                "backbone.weights=none",
                "optimizer.learning_rate=1e-4",
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_cached_and_uncached_training_agree(overrides: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    given = [*TINY, f"dataset.root={folder}", "epochs=3", "batch_size=6", *overrides]
    cached, said, inputs = trained(compose([*given, "cache=auto"]), tmp_path)
    plain, expected, without = trained(compose([*given, "cache=off"]), tmp_path / "other")
    assert inputs.activations.computed > 0
    assert (without.activations.computed, without.activations.reused) == (0, 0)
    assert len(cached.history) == len(plain.history)
    for one, other in zip(cached.history, plain.history, strict=True):
        for key, value in asdict(one).items():
            if key != "seconds":
                assert value == pytest.approx(getattr(other, key), abs=1e-4), (one.epoch, key)
    assert cached.best.epoch == plain.best.epoch
    np.testing.assert_allclose(said, expected, atol=1e-4)


@pytest.mark.slow
def test_training_from_memory_equals_training_from_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [*TINY, f"dataset.root={folder}", "epochs=4", "batch_size=6", "freeze=all", "cache=auto"]
    config = compose([*given, "augmentation=light", "augmentation.views=2", "class_weight=balanced"])
    held, said, _ = trained(config, tmp_path)
    monkeypatch.setattr(pipeline, "IN_MEMORY_BYTES", 0)
    read, expected, _ = trained(config, tmp_path)
    for one, other in zip(held.history, read.history, strict=True):
        assert replace(one, seconds=0) == replace(other, seconds=0)
    np.testing.assert_array_equal(said, expected)
    assert 0 < held.data_wait_fraction["head"] < 1


@pytest.mark.slow
def test_a_second_run_computes_nothing(folder: Path, tmp_path: Path) -> None:
    config = compose([*TINY, f"dataset.root={folder}", "epochs=1", "freeze=last_block"])
    first, said, inputs = trained(config, tmp_path)
    assert (inputs.activations.computed, inputs.activations.reused) == (
        2 * 24,
        0,
    )  # both splits, at two split points
    again, same, inputs = trained(config, tmp_path)
    assert (inputs.activations.computed, inputs.activations.reused) == (0, 2 * 24)
    np.testing.assert_array_equal(same, said)
    assert [record.train_loss for record in again.history] == [record.train_loss for record in first.history]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("cache=off",), "cache=off"),
        (("augmentation=flip",), "augmentation flip changes images"),
        (("augmentation=mixup",), "augmentation mixup mixes images"),
        (("freeze.stages.0.batch_norm=train",), "batch_norm: train"),
        (("freeze=scratch",), "everything trains: nothing is computed once"),
        (("freeze.stages.0.train={from: block1}", "cache=off"), "everything trains: nothing is computed once"),
        (("freeze.stages.0.train={biases: true}",), "the trained layers begin at the images (block1_conv): nothing"),
        (("cache.max_gb=1e-9",), "cache.max_gb"),
        ((), "frozen up to average: 24 images computed once"),
    ],
)
def test_a_stage_explains_what_it_caches(overrides: tuple[str, ...], reason: str, folder: Path, tmp_path: Path) -> None:
    config = compose([*TINY, f"dataset.root={folder}", "freeze=all", *overrides])
    network, _, inputs = prepare(config, tmp_path)
    stage_input = inputs(network, config.freeze.stages[0], 0)
    assert reason in stage_input.caching_note
    batch = next(iter(stage_input.training(0)))[0]
    assert batch.shape[1:] == stage_input.model.input.shape[1:] == ((64,) if not overrides else (32, 32, 3))


def test_a_linear_head_gets_the_same_features_with_and_without_the_cache(folder: Path, tmp_path: Path) -> None:
    given: list[Any] = []
    for cache in ("auto", "off"):
        config = compose([*TINY, f"dataset.root={folder}", "freeze=all", "head=svm", f"cache={cache}"])
        network, index, inputs = prepare(config, tmp_path / cache)
        given.append(inputs(network, config.freeze.stages[0], 0))
        assert given[-1].features.labels.tolist() == index.split("train").labels.tolist()
    cached, computed = (next(one.features.rows.batches(iter([np.arange(len(one.features.labels))]))) for one in given)
    np.testing.assert_array_equal(cached, computed)
    assert len(list((tmp_path / "auto" / "tables").glob("*/table.json"))) == 2  # decoded images and their activations
    assert not (tmp_path / "off" / "tables").exists()


def test_a_linear_probe_is_the_logistic_regression_and_is_then_fine_tuned(folder: Path, tmp_path: Path) -> None:
    config = compose([*TINY, f"dataset.root={folder}", "freeze=linear_probe_then_finetune", "epochs=1"])
    network, _, inputs = prepare(config, tmp_path)
    features = inputs(network, config.freeze.stages[0], 0).features
    assert features is not None
    everything = next(features.rows.batches(iter([np.arange(len(features.labels))])))
    expected = fit_linear_head("logistic_regression", everything, features.labels, features.class_weights, config.seed)
    after: list[dict[str, np.ndarray]] = []
    callbacks = StageCallbacks(on_stage_end=lambda stage: after.append(values_of(network.classifier)))
    settings = TrainingSettings(config.head, config.seed)
    before = values_of(network.classifier)
    result = train_stages(network, config.freeze.stages, inputs, settings, callbacks)
    np.testing.assert_allclose(after[0]["output/kernel"], expected.kernel, rtol=1e-6)
    np.testing.assert_allclose(after[0]["output/bias"], expected.bias, rtol=1e-6)
    np.testing.assert_array_equal(after[0]["block3_conv/kernel"], before["block3_conv/kernel"])
    assert [record.stage for record in result.history] == ["linear_probe", "last_two_blocks"]
    assert result.history[1].train_loss != result.history[0].train_loss
    assert network.blocks[-1].layers[0].trainable  # the last stage opened it


@pytest.mark.slow
def test_labels_never_come_from_the_cache(folder: Path, tmp_path: Path) -> None:
    """The same pictures with fewer classes, in another order: nothing is computed again, and what is said is right."""
    given = [*TINY, f"dataset.root={folder}", "freeze=all", "head=logistic_regression", "epochs=1"]
    computed, right = [], []
    for classes in ("null", "[blue,red]"):
        config = compose([*given, f"dataset.classes={classes}", "dataset.split.test=0", "dataset.split.validation=0.5"])
        network, index, inputs = prepare(config, tmp_path)
        train_stages(network, config.freeze.stages, inputs, TrainingSettings(config.head, config.seed))
        images = np.stack([load_image(index.file(i), config.image_size, "stretch") for i in range(len(index))])
        said = network.classifier(images.astype(np.float32), training=False).numpy().argmax(axis=1)
        names = [index.class_names[label] for label in said]
        right.append(np.mean([path.startswith(name) for path, name in zip(index.paths, names, strict=True)]))
        computed.append(inputs.activations.computed)
    assert computed == [30, 0]
    assert right == [1, 1]


VIEWS = ("freeze=all", "augmentation=flip", "augmentation.rotation=20", "augmentation.views=4", "batch_size=6")


def drawn(config: Config, cache: Path, epochs: int, stage: int = 0) -> tuple[np.ndarray, ImageInputs]:
    """Return the view that each epoch shows of each training image, int (epochs, images)."""
    network, index, inputs = prepare(config, cache)
    boundary = frozen_boundary(network, HeadOnly())
    assert boundary is not None
    stage_input = inputs(network, config.freeze.stages[0], stage)
    training = index.split("train")
    seen = Views(Augmentation(config.augmentation), 4)
    rows = inputs.activations.rows(boundary, training, "train", seen).read(np.arange(4 * len(training)))
    batches = stage_input.training(0).take(epochs * stage_input.steps).as_numpy_iterator()
    shown = np.concatenate([values for values, _, _ in batches]).reshape(epochs, len(training), -1)
    views = np.full((epochs, len(training)), -1)
    for epoch, values in enumerate(shown):
        matches = [np.flatnonzero((rows == value).all(axis=1)) for value in values]
        assert all(len(match) == 1 for match in matches)
        places = np.concatenate(matches)
        views[epoch, places // 4] = places % 4
    return views, inputs


def test_each_epoch_draws_one_view_per_image(folder: Path, tmp_path: Path) -> None:
    given = [*TINY, f"dataset.root={folder}", "dataset.split.seed=0", *VIEWS]
    views, inputs = drawn(compose(given), tmp_path, epochs=6)
    assert (views >= 0).all()  # every image in every epoch
    assert set(np.unique(views)) == {0, 1, 2, 3}
    assert (views.std(axis=0) > 0).sum() > 12  # of 18: epochs differ
    assert (views.std(axis=1) > 0).all()  # images differ
    assert inputs.activations.computed == 18 * 4 + 6  # validation as it is
    again, inputs = drawn(compose(given), tmp_path, epochs=6)
    np.testing.assert_array_equal(again, views)
    other, inputs = drawn(compose([*given, "seed=1", "backbone.weights=none"]), tmp_path, epochs=6)
    assert (other != views).any()
    later, _ = drawn(compose(given), tmp_path, epochs=6, stage=1)
    assert (later != views).any()


def test_validation_images_are_not_augmented(folder: Path, tmp_path: Path) -> None:
    given = [*TINY, f"dataset.root={folder}"]
    config = compose([*given, *VIEWS])
    network, _, inputs = prepare(config, tmp_path)
    with_views = inputs(network, config.freeze.stages[0], 0)
    assert "78 images, 4 views of each training image among them, computed once" in with_views.caching_note
    config = compose([*given, "freeze=all", "batch_size=6"])
    network, _, inputs = prepare(config, tmp_path / "other")
    plain = inputs(network, config.freeze.stages[0], 0)
    for one, other in zip(with_views.validation, plain.validation, strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=1e-6)
        np.testing.assert_array_equal(one[1], other[1])


def test_steps_show_every_image_once_unless_they_are_given(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", {"a": 10, "b": 11})
    for overrides, steps in (((), 3), (("steps_per_epoch=7",), 7)):
        config = compose([*TINY, f"dataset.root={folder}", "freeze=all", "batch_size=5", *overrides])
        network, index, inputs = prepare(config, tmp_path)
        assert len(index.split("train")) == 13
        assert inputs(network, config.freeze.stages[0], 0).steps == steps
