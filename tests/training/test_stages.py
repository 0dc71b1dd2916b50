"""The stage loop on tiny networks: which weights change, which are kept, and the losses that are computed."""

from __future__ import annotations

import functools
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny import SIZE, index_of, normed_network, pictures, stage, tiny_network, train, train_on, values_of

from headstart.config import AugmentationConfig, LastBlock, ScheduleConfig, compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.data.augmentation import Augmentation
from headstart.data.pipeline import BatchPlan, class_weights, evaluation_dataset, training_dataset
from headstart.data.pixel_cache import Files
from headstart.model.freeze import layers_to_train
from headstart.model.network import Network
from headstart.training.hardware import seed_everything
from headstart.training.history import EpochRecord
from headstart.training.settings import StageCallbacks
from headstart.training.stages import TrainingResult

FREEZES = sorted(file.stem for file in conf_directory().glob("freeze/*.yaml"))
WITHOUT_NORMS = [freeze for freeze in FREEZES if freeze != "batch_norm"]
QUICK = ("last_block", "surgical")  # blocks up to the end, and blocks in the middle
STANDSTILL = 1e-30  # a learning rate that changes nothing in float32


def difference(after: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {path: after[path] - before[path] for path in before}


@functools.cache
def made(backbone: str) -> tuple[Network, list[np.ndarray]]:
    network = tiny_network(backbone)
    return network, network.classifier.get_weights()


def shared(backbone: str) -> Network:
    """Return a network that takes seconds to make, with the weights it began with: steps that add up kill its ReLUs."""
    network, weights = made(backbone)
    network.classifier.set_weights(weights)
    return network


@pytest.mark.parametrize(
    ("backbone", "freeze"),
    [
        *(
            pytest.param("small_cnn", freeze, marks=[] if freeze in QUICK else pytest.mark.slow)
            for freeze in WITHOUT_NORMS
        ),
        *(pytest.param("vgg16", freeze, marks=pytest.mark.slow) for freeze in WITHOUT_NORMS),
        *(pytest.param("efficientnet_lite0", freeze, marks=pytest.mark.slow) for freeze in FREEZES),
    ],
)
def test_every_shipped_freeze_schedule_changes_only_the_layers_it_trains(backbone: str, freeze: str) -> None:
    network = shared(backbone)
    images, targets = pictures(4)
    for part in compose([f"freeze={freeze}", "epochs=1"]).freeze.stages:
        # One step has to be seen in float32, however gentle the schedule is and however small random weights make the
        # gradients: Adam's is as long.
        part.optimizer.name, part.optimizer.learning_rate, part.optimizer.momentum = "adam", 0.01, 0.0
        before = values_of(network.classifier)
        result = train(network, [part], images, targets, batch_size=4)
        opened = {weight.path for layer in layers_to_train(network, part.train) for weight in layer.weights}
        trainable = {weight.path for weight in network.classifier.trainable_variables}
        moved = difference(values_of(network.classifier), before)
        backbone_paths = {weight.path for weight in network.backbone.weights}
        for path, change in moved.items():
            if path in backbone_paths and (path not in opened or path not in trainable):
                assert not change.any(), path
            elif path.endswith("kernel"):
                assert change.any(), path
        assert len(result.history) == 1


WINDOWS: list[tuple[Any, str, str]] = [  # train, batch_norm, pattern of the paths that move
    ({"blocks": ["block3", "block1"]}, "frozen", r"block[13]_(conv|norm)/(kernel|bias|gamma|beta)"),
    ({"biases": True}, "train", r"block\d_norm/(beta|moving)|block2_conv/bias"),
]
OTHER_WINDOWS: list[tuple[Any, str, str]] = [
    ({"first_blocks": 2}, "frozen", r"block[12]_(conv|norm)/(kernel|bias|gamma|beta)"),
    ({"batch_norm": True}, "frozen", r"block\d_norm/(gamma|beta)"),
    ({"batch_norm": True}, "train", r"block\d_norm/"),
    ({"biases": True}, "frozen", r"block\d_norm/beta|block2_conv/bias"),
]


@pytest.mark.parametrize(
    ("target", "batch_norm", "moves"),
    [*WINDOWS, *(pytest.param(*window, marks=pytest.mark.slow) for window in OTHER_WINDOWS)],
)
def test_frozen_blocks_above_trained_ones_do_not_change(
    target: Any, batch_norm: str, moves: str, capsys: pytest.CaptureFixture[str]
) -> None:
    network, (images, targets) = normed_network(), pictures(4)
    stages = [
        stage(target, "window", optimizer="adam", batch_norm=batch_norm),
        stage("head", "head", optimizer="adam", learning_rate=STANDSTILL),
    ]
    before = values_of(network.backbone)
    result = train(network, stages, images, targets, batch_size=4)
    moved = {path for path, change in difference(values_of(network.backbone), before).items() if change.any()}
    assert moved == {path for path in before if re.match(moves, path)}
    counted = sum(before[path].size for path in moved if "moving" not in path)
    assert result.trainable_parameters == {
        "window": counted + network.head.count_params(),
        "head": network.head.count_params(),  # the head's stage froze again what the window's stage had opened
    }
    note = "above the first trained one ha(ve|s) frozen weights: every step computes"
    assert len(re.findall(note, capsys.readouterr().out)) == 1  # of the window


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_statistics_change_only_if_batch_norm_trains(batch_norm: str) -> None:
    network, (images, targets) = tiny_network("efficientnet_lite0"), pictures(4)
    before = values_of(network.backbone)
    train(network, [stage("last_block", batch_norm=batch_norm)], images, targets, batch_size=4)
    moved = {path for path, change in difference(values_of(network.backbone), before).items() if change.any()}
    opened = {weight.path for layer in layers_to_train(network, LastBlock()) for weight in layer.weights}
    statistics = {path for path in opened if "moving" in path}
    assert moved & statistics == (statistics if batch_norm == "train" else set())
    assert moved <= opened
    assert moved - statistics


def test_the_best_epoch_survives_a_later_stage_that_diverges() -> None:
    network, (images, targets) = tiny_network(), pictures(12)
    seen: list[EpochRecord] = []
    stages = [
        stage("all", "good", epochs=4, optimizer="adam", learning_rate=0.002),
        stage("all", "absurd", epochs=2, optimizer="adam", learning_rate=0.5),
        stage("head", "still", epochs=1, learning_rate=STANDSTILL),
    ]
    result = train(network, stages, images, targets, callbacks=StageCallbacks(on_epoch_end=seen.append))

    assert [record.epoch for record in result.history] == [1, 2, 3, 4, 5, 6, 7]
    assert [record.stage for record in result.history] == ["good"] * 4 + ["absurd"] * 2 + ["still"]
    assert seen == result.history
    assert result.best in result.history[:4]
    assert result.best.validation_accuracy > 1 / 3
    assert result.history[5].validation_loss > result.best.validation_loss
    # The last stage started from the best epoch and not from what the absurd one left.
    assert result.history[6].validation_loss == pytest.approx(result.best.validation_loss, rel=1e-5)

    network.classifier.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = network.classifier.evaluate(images, targets, batch_size=6, verbose=0)
    assert loss == pytest.approx(result.best.validation_loss, rel=1e-5)
    assert accuracy == pytest.approx(result.best.validation_accuracy)
    assert set(result.seconds) == set(result.trainable_parameters) == {"good", "absurd", "still"}
    assert result.trainable_parameters["still"] == network.head.count_params()


def test_patience_ends_a_stage_but_not_the_next_one() -> None:
    images, targets = pictures(6)
    stages = [stage("head", name, epochs=9, learning_rate=STANDSTILL) for name in ("first", "second")]
    result = train(tiny_network(), stages, images, targets, patience=2)
    assert [record.stage for record in result.history] == ["first"] * 3 + ["second"] * 3


def test_a_plateau_lowers_the_rate_after_its_patience() -> None:
    images, targets = pictures(6)
    schedule = ScheduleConfig("plateau", patience=2, factor=0.1)
    part = stage("head", epochs=6, learning_rate=STANDSTILL, schedule=schedule)
    result = train(tiny_network(), [part], images, targets)
    relative = [record.learning_rate / STANDSTILL for record in result.history]
    assert relative == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01], rel=1e-4)


def one_epoch(network: Network, start: list[np.ndarray], batch_size: int = 8, **values: Any) -> dict[str, np.ndarray]:
    """Return what an epoch of sgd adds to the variables, from the start that is given."""
    network.classifier.set_weights(start)
    before = values_of(network.classifier)
    train(network, [stage("all", **values)], *pictures(8), batch_size=batch_size)
    return difference(values_of(network.classifier), before)


def test_layer_decay_scales_the_update_of_each_block() -> None:
    network = tiny_network()
    start = network.classifier.get_weights()
    plain, decayed = one_epoch(network, start), one_epoch(network, start, layer_decay=0.5)
    for path, factor in (("block1_conv", 0.125), ("block2_conv", 0.25), ("block3_conv", 0.5), ("output", 1)):
        kernel = f"{path}/kernel"
        assert plain[kernel].any()
        np.testing.assert_allclose(decayed[kernel], factor * plain[kernel], atol=1e-7)


def test_two_accumulated_batches_are_one_of_double_size() -> None:
    network = tiny_network()
    start = network.classifier.get_weights()
    whole, parts = one_epoch(network, start), one_epoch(network, start, accumulate=2, batch_size=4)
    for path, change in whole.items():
        np.testing.assert_allclose(parts[path], change, atol=1e-7, err_msg=path)


def test_the_kept_weights_are_the_averaged_ones() -> None:
    network = tiny_network()
    start = network.classifier.get_weights()
    # The first step alone comes from the first half of the pictures, which is the first batch.
    images, targets = pictures(8)
    before = values_of(network.classifier)
    train(network, [stage("all")], images[:4], targets[:4], batch_size=4)
    first = difference(values_of(network.classifier), before)
    second = one_epoch(network, start, batch_size=4)
    averaged = one_epoch(network, start, batch_size=4, ema=0.75)
    for path, change in averaged.items():
        np.testing.assert_allclose(change, 0.75 * first[path] + 0.25 * second[path], atol=1e-7, err_msg=path)
    assert not np.allclose(averaged["output/kernel"], second["output/kernel"], atol=1e-5)


@pytest.mark.slow
def test_averaged_weights_are_validated() -> None:
    network, (images, targets) = tiny_network(), pictures(8)
    result = train(network, [stage("all", epochs=3, ema=0.9, learning_rate=0.1)], images, targets, batch_size=4)
    network.classifier.compile(loss="categorical_crossentropy")
    loss = network.classifier.evaluate(images, targets, batch_size=4, verbose=0)
    assert loss == pytest.approx(result.best.validation_loss, rel=1e-5)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    images, targets = pictures(6)
    with pytest.raises(HeadstartError, match="Expected the loss to stay finite"):
        train(tiny_network(), [stage("head", learning_rate=3e38, epochs=3)], images, targets)


def test_a_wrong_stage_is_refused_before_the_first_one_trains() -> None:
    network, (images, targets) = tiny_network(), pictures(6)
    before = values_of(network.classifier)
    with pytest.raises(HeadstartError, match=r"Received: {.from.: .block9.}"):
        train(network, [stage("all", "fine"), stage({"from": "block9"}, "wrong")], images, targets)
    for path, change in difference(values_of(network.classifier), before).items():
        assert not change.any(), path


def first_loss(network: Network, images: np.ndarray, targets: np.ndarray, **arguments: Any) -> EpochRecord:
    """Return the record of an epoch that changes nothing."""
    stages = [stage("head", learning_rate=STANDSTILL)]
    return train(network, stages, images, targets, batch_size=len(images), **arguments).history[0]


def test_the_training_loss_is_the_weighted_and_smoothed_cross_entropy() -> None:
    network, (images, _) = tiny_network(), pictures(6)
    labels = np.array([0, 0, 0, 1, 1, 2])
    targets = np.eye(3, dtype=np.float32)[labels]
    entropies = -np.log(network.classifier.predict(images, verbose=0))
    for kind, expected in (("none", [1, 1, 1]), ("balanced", [2 / 3, 1, 2]), ("inverse", [2, 3, 6])):
        weights = class_weights(labels, 3, kind)
        np.testing.assert_allclose(weights, expected, rtol=1e-6)
        record = first_loss(network, images, targets, weights=weights[labels])
        assert record.train_loss == pytest.approx(np.mean(weights[labels] * entropies[np.arange(6), labels]), rel=1e-4)
        assert record.validation_loss == pytest.approx(np.mean(entropies[np.arange(6), labels]), rel=1e-4)
    smoothed = 0.9 * targets + 0.1 / 3
    record = first_loss(network, images, targets, label_smoothing=0.1)
    assert record.train_loss == pytest.approx(np.mean(np.sum(smoothed * entropies, axis=1)), rel=1e-4)


def test_one_sigmoid_learns_and_its_accuracy_is_that_of_the_more_likely_class() -> None:
    network, (images, targets) = tiny_network(classes=2, output="sigmoid"), pictures(8, classes=2)
    probabilities = network.classifier.predict(images, verbose=0)[:, 0]
    expected = np.mean((probabilities > 0.5) == (targets[:, 1] > 0.5))
    record = first_loss(network, images, targets[:, 1:])
    assert record.train_accuracy == record.validation_accuracy == pytest.approx(expected)
    entropy = -np.mean(np.where(targets[:, 1] > 0.5, np.log(probabilities), np.log(1 - probabilities)))
    assert record.train_loss == pytest.approx(entropy, rel=1e-4)

    mixed = np.where(targets[:, 1:] > 0.5, 0.7, 0.2).astype(np.float32)  # as mixup makes them
    assert first_loss(network, images, mixed).train_accuracy == pytest.approx(expected)

    part = stage("all", epochs=8, optimizer="adam", learning_rate=0.003)
    assert train(network, [part], images, targets[:, 1:], batch_size=8).best.validation_accuracy == 1


def from_files(directory: Path, seed: int, augmentation: AugmentationConfig, **head: Any) -> TrainingResult:
    """Train two epochs on a folder the way a run does."""
    seed_everything(seed, deterministic=True, precision="float32")
    index = index_of(directory)
    network = tiny_network(classes=len(index.class_names), **head)
    one_sigmoid = head.get("output") == "sigmoid"
    weights = class_weights(index.labels, len(index.class_names), "none")
    files = Files(index, SIZE, "stretch")
    plan = BatchPlan(8, seed)
    training = training_dataset(index, files, plan, weights, one_sigmoid, Augmentation(augmentation))
    validation = evaluation_dataset(index, files, 8, one_sigmoid)
    return train_on(network, [stage("all", epochs=2)], training, validation, -(-len(index) // 8))


def augmented_history(folder: Path, seed: int) -> list[dict[str, Any]]:
    augmentation = AugmentationConfig("some", flip=True, rotation=20, zoom=0.2, mixup=0.2)
    result = from_files(folder, seed, augmentation, dropout=0.2)
    return [{**asdict(record), "seconds": 0} for record in result.history]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_history(folder: Path) -> None:
    assert augmented_history(folder, 1) == augmented_history(folder, 1)


@pytest.mark.slow
def test_another_seed_gives_another_history(folder: Path) -> None:
    assert augmented_history(folder, 1) != augmented_history(folder, 2)


@pytest.mark.parametrize("kind", ["mixup", pytest.param("cutmix", marks=pytest.mark.slow)])
def test_one_sigmoid_trains_on_mixed_images(binary_folder: Path, kind: str) -> None:
    result = from_files(binary_folder, 0, AugmentationConfig("mixed", **{kind: 1.0}), output="sigmoid")
    assert all(np.isfinite(record.train_loss) for record in result.history)
    assert result.history[1].train_loss != result.history[0].train_loss


def test_a_file_that_became_unreadable_is_named(tmp_path: Path) -> None:
    from conftest import write_pictures

    write_pictures(tmp_path, {"a": 6, "b": 6})
    (tmp_path / "b" / "003.png").write_bytes(b"no picture")
    with pytest.raises(HeadstartError, match=r"^Expected an image that can be read.*b/003\.png \(.*\)$"):
        from_files(tmp_path, 0, AugmentationConfig("none"))


@pytest.mark.parametrize("precision", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_half_precision_trains_with_every_feature_of_the_optimizer(precision: str) -> None:
    seed_everything(0, deterministic=True, precision=precision)
    try:
        network, (images, targets) = tiny_network(), pictures(6)
        schedule = ScheduleConfig("plateau")
        part = stage("all", epochs=3, schedule=schedule, ema=0.5, clip_norm=1.0, weight_decay=0.01, layer_decay=0.5)
        result = train(network, [part], images, targets)
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.backbone.output.dtype == precision.removeprefix("mixed_")
    assert network.classifier.output.dtype == "float32"
    assert {variable.dtype for variable in network.classifier.weights} == {"float32"}
    assert result.history[-1].train_loss < result.history[0].train_loss
