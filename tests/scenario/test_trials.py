"""Trials: strategies are trained on the same images, judged on validation, and left out where the time ends."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import TINY, write_pictures

from headstart.config import Config, compose
from headstart.core.paths import cache_directory
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.evaluation.learning_curve import NoLearningCurve
from headstart.features.activation_cache import open_activation_cache
from headstart.scenario.probes import MultiDepthProbe, multi_depth_probe
from headstart.scenario.trials import PROBE, Trial, _winner, try_strategies

SIZE = 32


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    root = write_pictures(tmp_path_factory.mktemp("trials") / "pictures", {"red": 24, "blue": 24})
    return compose([*TINY, f"dataset.root={root}", "dataset.split.test=0", "dataset.split.validation=0.25"])


@pytest.fixture(scope="module")
def probe(config: Config) -> MultiDepthProbe:
    index = check_images(load_index(config.dataset, cache_directory()), "fail", cache_directory())[0]
    return multi_depth_probe(config, index, SIZE, open_activation_cache(config, SIZE))


def test_the_probe_tells_red_from_blue_with_any_share_of_the_images(probe: MultiDepthProbe) -> None:
    found = probe.curve()
    assert found.images == (8, 18, 36)
    assert found.accuracies[-1] == 1
    assert isinstance(found.curve, NoLearningCurve) or found.curve.at(72).expected > 0.9


def test_strategies_are_tried_while_the_time_suffices(config: Config, probe: MultiDepthProbe) -> None:
    strategies = {PROBE: config, "all": compose([*TINY, f"dataset.root={config.dataset.root}", "freeze=all"])}
    activations = open_activation_cache(config, SIZE)
    found = try_strategies(strategies, probe, SIZE, activations, seconds=1000)
    assert [trial.strategy for trial in found.trials] == [PROBE, "all"]
    assert {trial.images for trial in found.trials} == {36}
    assert found.strategy == PROBE  # nothing is better than 100 %
    assert found.not_tried == ()
    none = try_strategies(strategies, probe, SIZE, activations, seconds=0)
    assert (none.strategy, none.not_tried) == (PROBE, ("all",))


@pytest.mark.parametrize(
    ("accuracies", "images", "winner"),
    [((0.90, 0.95), 1000, "b"), ((0.90, 0.904), 1000, "a"), ((0.90, 0.91), 50, "a"), ((0.90, 0.80), 1000, "a")],
)
def test_a_small_lead_does_not_pay_for_a_dearer_strategy(
    accuracies: tuple[float, float], images: int, winner: str
) -> None:
    trials = [Trial(name, 10, accuracy, 1.0, 1.0) for name, accuracy in zip("ab", accuracies, strict=True)]
    assert _winner(trials, images) == winner


def test_fitting_on_some_images_uses_only_them(probe: MultiDepthProbe) -> None:
    images = probe.training.take(np.flatnonzero(np.arange(len(probe.training)) % 2 == 0))
    assert 0.5 <= probe.accuracy(images) <= 1
