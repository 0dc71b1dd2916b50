"""The fraction of step time spent waiting for data: high for a slow input, low for a fast one."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import pictures, stage, tiny_network, train_on

from headstart.training.data_wait import DataWaitTimer, data_wait_seconds

WIDTH = 8


class Slow(keras.layers.Layer):
    """Takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        def wait(values: np.ndarray) -> np.ndarray:
            time.sleep(self.seconds)
            return values

        return tf.ensure_shape(tf.numpy_function(wait, [rows], tf.float32), rows.shape)


def wait_fraction(input_seconds: float, step_seconds: float, steps_at_once: int, asynchronous: bool = True) -> float:
    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            time.sleep(input_seconds)
            yield np.ones((4, WIDTH), np.float32), np.ones((4, 1), np.float32)

    signature = tf.TensorSpec((None, WIDTH)), tf.TensorSpec((None, 1))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    inputs = keras.Input((WIDTH,))
    model = keras.Model(inputs, keras.layers.Dense(1)(Slow(step_seconds)(inputs)))
    model.compile("sgd", "mse", jit_compile=False, steps_per_execution=steps_at_once)
    waiting = DataWaitTimer(steps_at_once)
    given = waiting.timed(dataset.prefetch(2) if asynchronous else dataset)
    model.fit(given, epochs=3, steps_per_epoch=4, shuffle=False, verbose=0, callbacks=[waiting])
    return waiting.fraction


@pytest.mark.parametrize("steps_at_once", [1, 4])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_slow_input_gives_a_high_fraction(steps_at_once: int, asynchronous: bool) -> None:
    assert wait_fraction(0.05, 0.0, steps_at_once, asynchronous) > 0.6


@pytest.mark.parametrize("steps_at_once", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_an_input_as_slow_as_the_steps_gives_a_medium_fraction(steps_at_once: int) -> None:
    assert 0.25 < wait_fraction(0.06, 0.03, steps_at_once) < 0.75


@pytest.mark.parametrize("steps_at_once", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_fast_input_gives_a_low_fraction(steps_at_once: int) -> None:
    assert wait_fraction(0.0, 0.05, steps_at_once) < 0.1


def test_steps_with_ready_batches_do_not_wait() -> None:
    assert data_wait_seconds(10.0, 14.0, {0: 9.0, 3: 11.0}, 4) == 0
    assert data_wait_seconds(10.0, 11.0, {0: 10.25}, 1) == pytest.approx(0.25)


@pytest.mark.parametrize("step", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("first", [0.0, 0.7])
@pytest.mark.parametrize("apart", [0.5, 2.0])
def test_the_wait_within_a_group_of_steps_is_measured(first: float, apart: float, step: float) -> None:
    ready = [10.0 + first + apart * place for place in range(4)]
    ended, waited = 10.0, 0.0
    for when in ready:
        waited += max(0.0, when - ended)
        ended = max(ended, when) + step
    found = data_wait_seconds(10.0, ended, {0: ready[0], 3: ready[3]}, 4)
    assert found == pytest.approx(waited)


def test_a_stage_that_waits_for_data_prints_a_tip(capsys: pytest.CaptureFixture[str]) -> None:
    images, targets = pictures(6)

    def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            time.sleep(0.8)  # much more than a second in all, also on a busy machine
            yield images, targets

    signature = tf.TensorSpec((None, *images.shape[1:])), tf.TensorSpec((None, targets.shape[1]))
    slow = tf.data.Dataset.from_generator(generate, output_signature=signature)
    fast = tf.data.Dataset.from_tensors((images, targets))
    stages = [stage("head", "waits", epochs=4), stage("head", "once", epochs=1)]
    result = train_on(tiny_network("small_cnn"), stages, slow, fast, 1)
    assert list(result.data_wait_fraction) == ["waits"]  # the first step of `once` builds the graph
    assert 0.5 < result.data_wait_fraction["waits"] <= 1
    said = capsys.readouterr().out
    assert re.search(r"waits: \d+ % of step time was spent waiting for data: use a larger batch_size", said)

    result = train_on(tiny_network("small_cnn"), [stage("head", "quick", epochs=3)], fast.repeat(), fast, 1)
    assert 0 <= result.data_wait_fraction["quick"] <= 1
    assert "waiting for data" not in capsys.readouterr().out


def test_batches_pass_unchanged() -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(6, 4)
    dataset = tf.data.Dataset.from_tensor_slices((numbers, numbers[:, :1], numbers[:, 1])).batch(4).repeat()
    found = list(itertools.islice(DataWaitTimer().timed(dataset), 4))
    for batch, expected in zip(found, itertools.islice(dataset, 4), strict=True):
        assert [part.numpy().tolist() for part in batch] == [part.numpy().tolist() for part in expected]
