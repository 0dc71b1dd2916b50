"""Training that was interrupted anywhere ends with the figures of uninterrupted training."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny import pictures, stage, tiny_network, train, values_of

from headstart.config import ScheduleConfig
from headstart.core import signals
from headstart.core.errors import HeadstartError
from headstart.training.checkpoint import Checkpoints, TrainingState
from headstart.training.stages import TrainingResult

IMAGES, TARGETS = pictures(12)
STAGES = [
    stage("head", "head", epochs=2, optimizer="adam"),
    stage("last_block", "block", epochs=2, optimizer="sgd", momentum=0.9),
]
WINDOWS = [stage({"blocks": ["block2"]}, "window", epochs=2), stage({"biases": True}, "biases", optimizer="adam")]
slow = pytest.mark.slow
VARIANTS = [
    pytest.param({}, id="two stages", marks=slow),
    pytest.param({"stages": WINDOWS}, id="windows", marks=slow),
    pytest.param({"stages": [stage("all", epochs=4, ema=0.5, optimizer="adam")]}, id="averaged weights", marks=slow),
    pytest.param(
        {"stages": [stage("head", epochs=6, learning_rate=1e-9, schedule=ScheduleConfig("plateau", factor=0.5))]},
        id="a plateau",
        marks=slow,
    ),
    pytest.param(
        {"stages": [stage("head", "head", epochs=6, learning_rate=1e-9), STAGES[1]], "patience": 2},
        id="early stopping",
        marks=slow,
    ),
    pytest.param({"stages": [stage("all", epochs=3, batch_norm="train")]}, id="batch statistics"),
    pytest.param(
        {"stages": [stage("all", epochs=3, schedule=ScheduleConfig("cosine", warmup_epochs=1))]},
        id="a schedule",
        marks=slow,
    ),
    pytest.param(
        {"stages": [stage("all", epochs=3, accumulate=2, optimizer="adamw", weight_decay=0.01)]},
        id="accumulated gradients",
        marks=slow,
    ),
]


class Interruptions:
    """Interrupts training after a number of checks for an interruption."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self) -> KeyboardInterrupt | None:
        self.after -= 1
        return KeyboardInterrupt() if self.after < 0 else None


def run(variant: dict[str, Any], checkpoints: Checkpoints | None = None) -> tuple[TrainingResult, keras.Model]:
    keras.utils.set_random_seed(3)
    network = tiny_network("small_cnn", units=8, batch_norm=True, dropout=0.4)
    arguments = {"stages": STAGES} | variant
    result = train(network, images=IMAGES, targets=TARGETS, checkpoints=checkpoints, **arguments)
    return result, network.classifier


def history_of(result: TrainingResult) -> list[tuple]:
    return [(one.epoch, one.stage, one.train_loss, one.validation_loss, one.learning_rate) for one in result.history]


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_interrupted_every_few_batches_ends_the_same(
    variant: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, classifier = run(variant)
    checkpoints = Checkpoints(tmp_path / "checkpoint.npz", None)
    result, resumed = None, None
    for times in range(50):
        asked = Interruptions(after=2 + times % 4)  # in an epoch, in its validation, at its end
        monkeypatch.setattr(signals, "_pending_interruption", lambda limit, asked=asked: asked())
        try:
            result, resumed = run(variant, checkpoints)
            break
        except KeyboardInterrupt:
            continue
    assert result is not None
    assert times >= 3
    assert history_of(result) == history_of(expected)
    assert result.best.epoch == expected.best.epoch
    assert result.trainable_parameters == expected.trainable_parameters
    for path, value in values_of(classifier).items():
        np.testing.assert_array_equal(values_of(resumed)[path], value, err_msg=path)


def stopped_at_once(tmp_path: Path) -> tuple[Checkpoints, TrainingState]:
    checkpoints = Checkpoints(tmp_path / "checkpoint.npz", None)
    with pytest.raises(signals.TimeLimitReached):
        run({"time_limit": time.time() - 1}, checkpoints)
    saved = checkpoints.load()
    assert saved is not None
    return checkpoints, saved


def test_a_time_limit_stops_at_the_end_of_a_batch_and_is_saved(tmp_path: Path) -> None:
    _, saved = stopped_at_once(tmp_path)
    assert (saved.stage, saved.epoch, saved.step) == (0, 0, 1)


def test_a_checkpoint_of_other_pretrained_weights_is_refused(tmp_path: Path) -> None:
    checkpoints, saved = stopped_at_once(tmp_path)
    saved.frozen = "another"
    checkpoints.save(saved)
    with pytest.raises(HeadstartError, match="Expected the pretrained weights that this run began with"):
        run({}, checkpoints)


@pytest.mark.slow
def test_a_checkpoint_with_the_field_names_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    checkpoints, saved = stopped_at_once(tmp_path)
    saved.data_wait_fraction = {"before": 0.25}
    checkpoints.save(saved)
    with np.load(checkpoints.file) as stored:
        arrays = dict(stored)
    plain = json.loads(arrays["plain"].tobytes())
    plain["waiting_for_input"] = plain.pop("data_wait_fraction")
    arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    with checkpoints.file.open("wb") as file:
        np.savez(file, **arrays)
    resumed, _ = run({}, checkpoints)
    expected, _ = run({})
    assert history_of(resumed) == history_of(expected)
    assert resumed.data_wait_fraction["before"] == 0.25


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: b"", lambda content: b"PK\3\4"]
)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: Any) -> None:
    file = tmp_path / "checkpoint.npz"
    Checkpoints(file, None).save(TrainingState(arrays={"weights/0": np.zeros(1000)}))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(HeadstartError, match=f"Expected a checkpoint of headstart in {file}"):
        Checkpoints(file, None).load()


def test_checkpoints_are_as_frequent_as_configured_but_never_too_costly(tmp_path: Path) -> None:
    assert not Checkpoints(tmp_path / "one.npz", None).is_due()
    assert not Checkpoints(tmp_path / "one.npz", 1000.0).is_due()
    always = Checkpoints(tmp_path / "one.npz", 0.0)
    always.save(TrainingState())
    assert always.is_due()
    sometimes = Checkpoints(tmp_path / "one.npz", 1e-9)
    assert sometimes.is_due()
    sometimes.save(TrainingState(arrays={"weights/0": np.zeros(1_000_000)}))
    assert not sometimes.is_due()  # a twentieth of the time is spent on it at most
