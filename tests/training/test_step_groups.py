"""Groups of steps give the same figures as single steps, whatever their number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import pictures, stage, tiny_network, values_of

from headstart.config import HeadConfig, StageConfig
from headstart.core import signals
from headstart.model.network import Network
from headstart.training.checkpoint import Checkpoints
from headstart.training.history import EpochRecord
from headstart.training.inputs import StageInput
from headstart.training.settings import TrainingSettings
from headstart.training.stages import TrainingResult, train_stages
from headstart.training.step_groups import MOST_STEPS, steps_at_once

EPOCHS = 3
STAGES = [stage("head", "head", epochs=EPOCHS, optimizer="adam")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, 1), (7, 7), (31, 31), (32, 32), (64, 32), (60, 30), (45, 15), (33, 11), (37, 19), (53, 27), (74, 25)],
)
def test_groups_divide_an_epoch_or_nearly_do(steps: int, expected: int) -> None:
    assert steps_at_once(steps) == expected


def test_any_number_of_steps_returns_to_python_rarely() -> None:
    for steps in range(1, 2000):
        at_once = steps_at_once(steps)
        assert 1 <= at_once <= MOST_STEPS
        assert -(-steps // at_once) <= 2 * -(-steps // MOST_STEPS), steps


def run(steps: int, at_once: int, checkpoints: Checkpoints | None = None) -> tuple[TrainingResult, keras.Model]:
    """Train on two pictures a step, which are as many batches as Keras may ask for and no more."""
    images, targets = pictures(2 * steps)
    keras.utils.set_random_seed(3)
    network = tiny_network("small_cnn", units=4, dropout=0.4)
    weights = np.linspace(0.5, 1.5, len(images), dtype=np.float32)
    batches = tf.data.Dataset.from_tensor_slices((images, targets, weights)).batch(2)

    def inputs(network: Network, stage: StageConfig, number: int) -> StageInput:
        def training(first: int) -> tf.data.Dataset:
            assert int(batches.cardinality()) == steps
            return batches.repeat(stage.epochs).skip(first)

        validation = tf.data.Dataset.from_tensor_slices((images[:10], targets[:10])).batch(3)
        return StageInput(network.training_model("frozen"), training, validation, steps, at_once)

    result = train_stages(network, STAGES, inputs, TrainingSettings(HeadConfig("head")), checkpoints=checkpoints)
    return result, network.classifier


def history_of(result: TrainingResult) -> list[EpochRecord]:
    return [replace(record, seconds=0) for record in result.history]


def assert_same(one: tuple[TrainingResult, keras.Model], other: tuple[TrainingResult, keras.Model]) -> None:
    assert history_of(one[0]) == history_of(other[0])
    expected = values_of(other[1])
    for path, value in values_of(one[1]).items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)


@pytest.mark.slow
def test_a_shorter_last_group_changes_no_figure() -> None:
    together = run(13, 5)
    assert_same(together, run(13, 1))
    assert 0 <= together[0].data_wait_fraction["head"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("saved_with", [5, 1])
def test_training_interrupted_between_groups_ends_the_same(
    saved_with: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is resumed with other groups than it was saved with."""
    asked = iter(range(1000))
    at = {5, 9}
    checkpoints = Checkpoints(tmp_path / "checkpoint.npz", None)
    monkeypatch.setattr(
        signals, "_pending_interruption", lambda limit: KeyboardInterrupt() if next(asked) in at else None
    )
    with pytest.raises(KeyboardInterrupt):
        run(13, saved_with, checkpoints)
    saved = checkpoints.load()
    assert saved is not None
    assert saved.step % 5 == 0 if saved_with == 5 else saved.step == 6
    with pytest.raises(KeyboardInterrupt):
        run(13, 5, checkpoints)
    resumed = run(13, 5, checkpoints)
    monkeypatch.undo()
    assert_same(resumed, run(13, 5))
