"""Interpolation of the probe and the fine-tuned weights: the ends are exact, an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import pictures, stage, tiny_network, train

from headstart.config import StageConfig
from headstart.training.checkpoint import Checkpoints
from headstart.training.interpolation import differing, interpolate, probe_stage
from headstart.training.settings import StageCallbacks

STAGES = [stage("head", "probe", 1, learning_rate=0.1), stage("all", "tuned", 2, learning_rate=0.05)]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["head", "all"], 0),
        (["head", "head", "last_block"], 1),
        (["head"], None),
        (["all"], None),
        (["all", "head"], None),
    ],
)
def test_the_probe_is_the_end_of_the_head_only_stages_before_fine_tuning(targets: list, expected: int | None) -> None:
    assert probe_stage([stage(target, f"{number}") for number, target in enumerate(targets)]) == expected


def test_both_ends_are_exact_and_the_middle_is_half_way() -> None:
    images, targets = pictures(12)
    network, alone = tiny_network(), tiny_network()
    training = train(network, STAGES, images, targets, keep_probe=True)
    train(alone, STAGES[:1], images, targets)
    tuned = network.classifier.get_weights()
    assert training.probe is not None
    probe = training.probe.weights
    positions = differing(probe, tuned)
    assert len(positions) == len(tuned)
    for found, expected in zip(probe, alone.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    for alpha, expected in (
        (0.0, probe),
        (1.0, tuned),
        (0.5, [(a + b) / 2 for a, b in zip(probe, tuned, strict=True)]),
    ):
        interpolate(network.classifier, probe, tuned, positions, alpha)
        for found, weight in zip(network.classifier.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, weight, rtol=0, atol=0 if alpha in (0, 1) else 1e-7)


@pytest.mark.slow
def test_the_probe_survives_an_interruption(tmp_path: Path) -> None:
    images, targets = pictures(12)
    whole = train(tiny_network(), STAGES, images, targets, keep_probe=True)

    def stop(ended: StageConfig) -> None:
        if ended.name == "probe":
            stopped.append(ended.name)

    stopped: list[str] = []
    checkpoints = Checkpoints(tmp_path / "checkpoint.npz", 0.0)

    def interrupt(record: object) -> None:
        if stopped:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            *(tiny_network(), STAGES, images, targets),
            keep_probe=True,
            callbacks=StageCallbacks(interrupt, stop),
            checkpoints=checkpoints,
        )
    resumed = train(tiny_network(), STAGES, images, targets, keep_probe=True, checkpoints=checkpoints)
    assert whole.probe is not None
    assert resumed.probe is not None
    assert resumed.probe.moved == whole.probe.moved
    for found, expected in zip(resumed.probe.weights, whole.probe.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_probe_is_only_kept_where_it_is_wanted() -> None:
    images, targets = pictures(6)
    assert train(tiny_network(), STAGES, images, targets).probe is None
