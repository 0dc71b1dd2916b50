"""Optimizers step by step on two plain variables."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from headstart.config import OptimizerConfig, ScheduleConfig
from headstart.core.errors import HeadstartError
from headstart.training.optimizers import block_rates, build_optimizer, slots

STEPS, EPOCHS = 10, 4
NAMES = ["sgd", "rmsprop", "adam", "adamw"]


def config(name: str = "sgd", learning_rate: float = 0.1, **values: Any) -> OptimizerConfig:
    return OptimizerConfig(name, learning_rate, **values)


def rates(schedule: ScheduleConfig, accumulate: int = 1) -> list[float]:
    """Return the learning rate of every batch of a stage, and the one after it."""
    optimizer = build_optimizer(config(schedule=schedule, accumulate=accumulate), STEPS, EPOCHS)
    variable = keras.Variable([1.0], name="kernel")
    seen = []
    for _ in range(STEPS * EPOCHS + 1):
        seen.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.zeros(1)], [variable])
    return seen


def updates(values: OptimizerConfig, gradients: list[list[float]], **arguments: Any) -> np.ndarray:
    """Return how far variables named kernel and gamma, both 1, are after the gradients, one pair a batch."""
    optimizer = build_optimizer(values, STEPS, EPOCHS, **arguments)
    variables = [keras.Variable([1.0], name="kernel"), keras.Variable([1.0], name="gamma")]
    for pair in gradients:
        optimizer.apply([keras.ops.convert_to_tensor([value]) for value in pair], variables)
    return np.array([float(variable.numpy()[0]) for variable in variables]) - 1


def test_a_constant_rate_stays() -> None:
    assert set(rates(ScheduleConfig())) == {np.float32(0.1)}


def test_cosine_falls_to_zero_over_the_stage() -> None:
    seen = rates(ScheduleConfig("cosine"))
    expected = [0.05 * (1 + np.cos(np.pi * step / 40)) for step in range(41)]
    np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_warm_up_climbs_in_a_line_and_the_cosine_follows() -> None:
    seen = rates(ScheduleConfig("cosine", warmup_epochs=1))
    assert seen[0] == pytest.approx(0.01)  # the first step moves already
    assert np.diff(seen[:11]) == pytest.approx(np.full(10, 0.009), rel=1e-3)
    assert seen[10] == pytest.approx(0.1)
    assert seen[25] == pytest.approx(0.05)  # half way between the warm-up and the end
    assert seen[40] == pytest.approx(0, abs=1e-6)


def test_warm_up_before_a_constant_rate() -> None:
    seen = rates(ScheduleConfig("constant", warmup_epochs=0.5))
    assert seen[0] == pytest.approx(0.02)
    assert seen[:6] == sorted(seen[:6])
    assert seen[5:] == pytest.approx([0.1] * 36)


def test_a_warm_up_longer_than_the_stage_ends_with_it() -> None:
    assert rates(ScheduleConfig("cosine", warmup_epochs=50))[39] == pytest.approx(0.1)


def test_accumulation_does_not_change_the_schedule() -> None:
    for schedule in (ScheduleConfig("cosine"), ScheduleConfig("cosine", warmup_epochs=1)):
        assert rates(schedule, accumulate=4) == pytest.approx(rates(schedule))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_down(name: str) -> None:
    assert (updates(config(name, 0.01), [[1.0, 3.0]]) < 0).all()


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_accumulates(name: str) -> None:
    gradients = [[1.0, 1.0], [0.0, 0.0]]
    plain, carried = (updates(config(name, 0.01, momentum=momentum), gradients) for momentum in (0.0, 0.9))
    assert (carried < 1.5 * plain).all()


def test_accumulation_is_one_step_on_the_average() -> None:
    whole = updates(config(momentum=0.9), [[2.0, 4.0], [1.0, 1.0]])
    parts = updates(config(momentum=0.9, accumulate=2), [[1.0, 5.0], [3.0, 3.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    np.testing.assert_array_equal(updates(config(accumulate=2), [[1.0, 5.0]]), 0)


def test_accumulation_over_more_batches_than_the_stage_has_is_refused() -> None:
    build_optimizer(config(accumulate=6), steps=3, epochs=2)
    with pytest.raises(HeadstartError, match=r"optimizer\.accumulate to be at most 6.*Received: 7"):
        build_optimizer(config(accumulate=7), steps=3, epochs=2)


def test_clipping_is_by_the_norm_of_all_gradients_together() -> None:
    np.testing.assert_allclose(updates(config(clip_norm=1.0), [[3.0, 4.0]]), [-0.06, -0.08], rtol=1e-5)
    np.testing.assert_allclose(updates(config(clip_norm=1.0), [[0.3, 0.4]]), [-0.03, -0.04], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_shrinks_kernels_only(name: str) -> None:
    kernel, gamma = updates(config(name, weight_decay=0.5), [[0.0, 0.0]])
    assert kernel == pytest.approx(-0.1 * 0.5)
    assert gamma == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_weight_decay_is_none(name: str) -> None:
    np.testing.assert_array_equal(updates(config(name), [[0.0, 0.0]]), 0)


def test_block_rates_fall_from_the_top() -> None:
    assert block_rates(["stem", "middle", "top"], 0.5) == {"stem": 0.125, "middle": 0.25, "top": 0.5}
    assert set(block_rates(["stem", "top"], 1.0).values()) == {1.0}


@pytest.mark.parametrize("name", NAMES)
def test_the_rate_of_a_variable_scales_its_step_and_its_decay(name: str) -> None:
    def rate_of(variable: keras.Variable) -> float:
        return 0.25 if variable.name == "kernel" else 1.0

    whole = updates(config(name, 0.01, weight_decay=0.5), [[1.0, 1.0]])
    scaled = updates(config(name, 0.01, weight_decay=0.5, layer_decay=0.5), [[1.0, 1.0]], rate_of=rate_of)
    assert scaled[1] == pytest.approx(whole[1])
    assert scaled[0] == pytest.approx(0.25 * whole[0], rel=0.01)  # the step starts from the decayed value
    decayed = updates(config(name, 0.1, weight_decay=0.5, layer_decay=0.5), [[0.0, 0.0]], rate_of=rate_of)
    assert decayed == pytest.approx([-0.25 * 0.1 * 0.5, 0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [{}, {"momentum": 0.9}, {"ema": 0.9}, {"accumulate": 2}])
def test_the_number_of_slots_is_known_before_the_optimizer_is_built(name: str, more: dict[str, Any]) -> None:
    values = config(name, **more)
    optimizer = build_optimizer(values, STEPS, EPOCHS)
    optimizer.build([keras.Variable(np.ones(1000), name="kernel")])
    kept = sum(int(np.prod(variable.shape)) for variable in optimizer.variables)
    assert kept // 1000 == slots(values)
