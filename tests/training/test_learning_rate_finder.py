"""The sweep suggests a rate that trains, or none if the losses suggest none, and restores the network."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import SIZE, pictures, stage, tiny_network, train_on

from headstart.config import ScheduleConfig, StageConfig
from headstart.core.errors import HeadstartError
from headstart.model.network import Network
from headstart.training.hardware import seed_everything
from headstart.training.inputs import StageInput
from headstart.training.learning_rate_finder import (
    DECADE,
    HIGHEST,
    LOWEST,
    UPDATES,
    RateSweep,
    smooth,
    suggest,
    sweep_learning_rate,
)

RATES = np.geomspace(LOWEST, HIGHEST, UPDATES)


def batches(images: np.ndarray, targets: np.ndarray, batch_size: int = 6) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Return endless batches with weights, and the same ones once."""
    weighted = tf.data.Dataset.from_tensor_slices((images, targets, np.ones(len(images), np.float32)))
    plain = tf.data.Dataset.from_tensor_slices((images, targets))
    return weighted.batch(batch_size).repeat(), plain.batch(batch_size)


def sweep(network: Network, part: StageConfig, images: np.ndarray, targets: np.ndarray) -> RateSweep:
    training, validation = batches(images, targets)

    def inputs(network: Network, stage: StageConfig, number: int) -> StageInput:
        assert number == 0
        return StageInput(network.training_model(stage.batch_norm), training.skip, validation, 4)

    return sweep_learning_rate(network, part, inputs)


def state(network: Network) -> list[bytes]:
    """Return the bytes of every variable, the seeds of dropout included."""
    return [variable.numpy().tobytes() for variable in network.classifier.variables]


def test_the_loss_falls_and_then_explodes_and_the_suggestion_lies_between() -> None:
    found = sweep(tiny_network(), stage("all", optimizer="adam"), *pictures(24))
    assert found.suggestion is not None, found.reason
    assert len(found.rates) == len(found.losses) == len(found.smoothed) > 2 * DECADE
    np.testing.assert_allclose(found.rates, RATES[: len(found.rates)])
    lowest = found.rates[int(np.argmin(found.smoothed))]
    assert 1e-5 < found.suggestion <= lowest / 9.5
    assert found.smoothed.min() < 0.7 * found.losses[:DECADE].mean()
    assert found.smoothed[-1] > 2 * found.losses[:DECADE].mean()  # stopped as it diverged
    assert found.smoothed[-2] <= 2 * found.losses[:DECADE].mean()


@pytest.mark.slow
def test_the_suggested_rate_trains_and_far_smaller_and_larger_ones_do_not() -> None:
    images, targets = pictures(24)
    training, validation = batches(images, targets)
    rate = sweep(tiny_network(), stage("all", optimizer="adam"), images, targets).suggestion
    assert rate is not None

    def loss(learning_rate: float) -> float:
        part = stage("all", epochs=6, optimizer="adam", learning_rate=learning_rate)
        return train_on(tiny_network(), [part], training, validation, 4).history[-1].validation_loss

    assert loss(rate) < 0.5 * min(loss(rate / 1000), loss(rate * 1000))


def test_the_network_is_bit_identical_afterwards() -> None:
    images, targets = pictures(12)
    training, validation = batches(images, targets)
    part = stage("all", optimizer="adam", epochs=2, learning_rate=0.003)

    def history(with_sweep: bool) -> tuple[list[dict[str, Any]], list[bytes]]:
        seed_everything(0, deterministic=True, precision="float32")
        network = tiny_network("small_cnn", units=8, batch_norm=True, dropout=0.5)
        if with_sweep:
            before = state(network)
            draws = random.getstate(), np.random.get_state()[1].tobytes()
            found = sweep(network, part, images, targets)
            assert np.ptp(found.losses) > 0.1
            assert state(network) == before
            assert (random.getstate(), np.random.get_state()[1].tobytes()) == draws
        result = train_on(network, [part], training, validation, 2)
        return [{**asdict(record), "seconds": 0} for record in result.history], state(network)

    assert history(with_sweep=True) == history(with_sweep=False)


def test_the_weights_are_restored_when_the_sweep_fails() -> None:
    network, (images, targets) = tiny_network(), pictures(12)
    before = state(network)

    def rows() -> Any:
        for number in range(200):
            if number == 60:
                raise HeadstartError("Expected an image that can be read. Received: that one")
            position = number % 12
            yield images[position : position + 1], targets[position : position + 1], np.ones(1, np.float32)

    shapes = [(None, SIZE, SIZE, 3), (None, 3), (None,)]
    training = tf.data.Dataset.from_generator(
        rows, output_signature=tuple(tf.TensorSpec(shape, tf.float32) for shape in shapes)
    )

    def inputs(network: Network, stage: StageConfig, number: int) -> StageInput:
        return StageInput(network.training_model(stage.batch_norm), training.skip, batches(images, targets)[1], 4)

    with pytest.raises(HeadstartError, match="Received: that one"):
        sweep_learning_rate(network, stage("all"), inputs)
    assert state(network) == before


@pytest.mark.parametrize(
    "optimizer", ["sgd", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rmsprop", "adam", "adamw"))]
)
def test_every_optimizer(optimizer: str) -> None:
    values = {"momentum": 0.9} if optimizer in ("sgd", "rmsprop") else {}
    found = sweep(tiny_network(), stage("head", optimizer=optimizer, **values), *pictures(24))
    assert found.suggestion is not None, found.reason


@pytest.mark.slow
def test_schedule_rate_and_averaged_weights_of_the_stage_are_ignored() -> None:
    plain = sweep(tiny_network(), stage("all", optimizer="adam"), *pictures(12))
    for schedule in (ScheduleConfig("cosine", warmup_epochs=1), ScheduleConfig("plateau", patience=1)):
        part = stage("all", optimizer="adam", learning_rate=7.0, schedule=schedule, ema=0.9, epochs=3)
        found = sweep(tiny_network(), part, *pictures(12))
        np.testing.assert_array_equal(found.losses, plain.losses)
        assert found.suggestion == plain.suggestion


@pytest.mark.slow
def test_an_update_takes_as_many_batches_as_are_accumulated() -> None:
    # Two accumulated halves are one whole batch: the same losses at the same rates.
    images, targets = pictures(12)
    whole = sweep(tiny_network(), stage("all", optimizer="sgd"), images, targets)
    network = tiny_network()
    training, validation = batches(images, targets, batch_size=3)

    def inputs(network: Network, stage: StageConfig, number: int) -> StageInput:
        return StageInput(network.training_model(stage.batch_norm), training.skip, validation, 4)

    parts = sweep_learning_rate(network, stage("all", optimizer="sgd", accumulate=2), inputs)
    np.testing.assert_allclose(parts.rates[:60], whole.rates[:60])
    np.testing.assert_allclose(parts.losses[:60], whole.losses[:60], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(precision: str) -> None:
    seed_everything(0, deterministic=True, precision=precision)
    try:
        network = tiny_network()
        before = state(network)
        found = sweep(network, stage("all", optimizer="adam", clip_norm=1.0), *pictures(24))
        assert state(network) == before
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.suggestion is not None, found.reason


@pytest.mark.slow
def test_one_sigmoid() -> None:
    images, targets = pictures(24, classes=2)
    found = sweep(tiny_network(classes=2, output="sigmoid"), stage("all", optimizer="adam"), images, targets[:, 1:])
    assert found.suggestion is not None, found.reason


def test_a_loss_that_is_never_finite_suggests_nothing() -> None:
    network = tiny_network()
    kernel = network.head.get_layer("output").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    found = sweep(network, stage("all"), *pictures(12))
    assert found.suggestion is None
    assert "never finite" in found.reason
    assert len(found.rates) == 1


def test_labels_that_cannot_be_learned_suggest_nothing() -> None:
    images, targets = pictures(24)
    found = sweep(tiny_network(), stage("head"), np.full_like(images, 128), targets)
    assert found.suggestion is None
    assert "does not descend" in found.reason


def test_smoothing_is_corrected_for_its_start() -> None:
    np.testing.assert_allclose(smooth(np.full(20, 3.0)), 3.0)
    first, second = smooth(np.array([1.0, 2.0]))
    assert first == pytest.approx(1)
    assert second == pytest.approx((0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.9**2))


def curve(middle: float, edge: float, noise: float = 0.05) -> np.ndarray:
    """Return a loss that falls from 2 to 0.2 around one rate and explodes from another one on."""
    falling = 0.2 + 1.8 / (1 + (RATES / middle) ** 2)
    return falling + 5 * np.maximum(0, np.log(RATES / edge)) + np.random.default_rng(0).normal(0, noise, UPDATES)


def test_the_steepest_descent_is_suggested_whether_or_not_the_loss_explodes() -> None:
    for edge in (1.0, 1e9):
        losses = curve(1e-3, edge)
        rate, reason = suggest(RATES, losses, losses)
        assert rate == pytest.approx(1e-3, rel=0.5)
        assert "most steeply" in reason


def test_the_suggestion_stays_below_the_rate_of_the_lowest_loss() -> None:
    losses = curve(5e-2, 6e-2)
    rate, reason = suggest(RATES, losses, losses)
    assert rate == pytest.approx(RATES[np.argmin(losses)] / 10, rel=0.06)
    assert "tenth" in reason


@pytest.mark.parametrize("level", [1e-12, 2.3])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_flat_rising_and_short_curves_suggest_nothing(level: float, noise: float) -> None:
    for seed in range(20):
        flat = level + np.abs(np.random.default_rng(seed).normal(0, noise, UPDATES))
        rising = flat + np.maximum(0, np.log(RATES / 1e-3))
        for losses in (flat, rising, flat[:3]):
            assert suggest(RATES[: len(losses)], losses, smooth(losses))[0] is None


def test_losses_after_the_last_finite_one_are_ignored() -> None:
    losses = curve(1e-3, 1e9)
    losses[-1] = np.nan
    assert suggest(RATES, losses, smooth(losses))[0] == suggest(RATES[:-1], losses[:-1], smooth(losses[:-1]))[0]
