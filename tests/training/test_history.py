"""The best epoch, and the record of each epoch."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from tiny import stage

from headstart.core.console import progress_bar
from headstart.core.errors import HeadstartError
from headstart.training.checkpoint import TrainingState
from headstart.training.epoch_recorder import EpochRecorder
from headstart.training.history import BestEpoch, EpochRecord


def record(accuracy: float, loss: float, epoch: int = 1) -> EpochRecord:
    return EpochRecord(epoch, "stage", 1.0, 0.5, loss, accuracy, 0.1, 1.0)


def model(value: float) -> keras.Model:
    inputs = keras.Input((1,))
    built = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(value))(inputs))
    built.compile("sgd", "mse")
    return built


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        ((0.5, 1.0), (0.6, 2.0), True),
        ((0.5, 1.0), (0.4, 0.1), False),
        ((0.5, 1.0), (0.5, 0.9), True),
        ((0.5, 1.0), (0.5, 1.0), False),  # the earlier one stays
        ((0.5, 1.0), (0.5, 1.1), False),
    ],
)
def test_accuracy_decides_and_then_the_loss(
    first: tuple[float, float], second: tuple[float, float], better: bool
) -> None:
    best = BestEpoch()
    assert best.offer(record(*first), model(1))
    assert best.offer(record(*second, epoch=2), model(2)) is better
    assert best.record is not None
    assert best.record.epoch == 1 + better
    other = model(3)
    best.restore(other)
    assert float(other.layers[-1].kernel.numpy()[0, 0]) == 1 + better


def test_the_weights_are_a_copy() -> None:
    best, kept = BestEpoch(), model(1)
    best.offer(record(0.5, 1.0), kept)
    kept.set_weights([np.full((1, 1), 9.0), np.zeros(1)])
    best.restore(kept)
    assert float(kept.layers[-1].kernel.numpy()[0, 0]) == 1


@pytest.mark.parametrize("key", ["loss", "val_loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_recorded(key: str, value: float) -> None:
    before, recorded = [record(0.1, 2.0, epoch) for epoch in (1, 2, 3)], []
    logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    with progress_bar() as bar:
        recorder = EpochRecorder(stage("head", "warm", epochs=2), TrainingState(history=before), recorded.append, bar)
        recorder.set_model(model(1))
        recorder.set_params({"steps": 1})
        recorder.on_epoch_begin(0)
        recorder.on_epoch_end(0, logs)
        recorder.on_epoch_begin(1)
        with pytest.raises(HeadstartError, match=r"stay finite.*at epoch 5 \(warm\); lower optimizer.learning_rate"):
            recorder.on_epoch_end(1, {**logs, key: value})
    assert [entry.epoch for entry in recorded] == [4]
