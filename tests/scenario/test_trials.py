"""Trials: strategies are trained on the same images, judged on validation, and left out where the time ends."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping

import numpy as np
import pytest
from conftest import TINY, write_pictures

from headstart.config import Config, compose
from headstart.core.paths import cache_directory
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.features.activation_cache import open_activation_cache
from headstart.results.scenario import Trial
from headstart.scenario import findings
from headstart.scenario.findings import find_strategy
from headstart.scenario.probes import MultiDepthProbe, multi_depth_probe
from headstart.scenario.trial_training import Deadline, OutOfTime, Projection, train_strategy
from headstart.scenario.trials import solved_on_features, try_strategies, winner
from headstart.training.history import EpochRecord

SIZE = 32
HEAD = ("head=linear", "freeze=all", "epochs=2")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = write_pictures(tmp_path_factory.mktemp("trials") / "pictures", {"red": 24, "blue": 24})
    return [*TINY, f"dataset.root={root}", "dataset.split.test=0", "dataset.split.validation=0.25"]


@pytest.fixture(scope="module")
def strategies(words: list[str]) -> dict[str, Config]:
    named = {
        "multi_depth": ("head=multi_depth", "freeze=all"),
        "head_only": ("head.fit=ridge", "freeze=all"),
        "all": HEAD,
        "all_light": (*HEAD, "augmentation=light"),
    }
    return {name: compose([*words, *parts]) for name, parts in named.items()}


@pytest.fixture(scope="module")
def index(strategies: Mapping[str, Config]) -> ImageIndex:
    dataset = strategies["all"].dataset
    return check_images(load_index(dataset, cache_directory()), "fail", cache_directory())[0]


@pytest.fixture(scope="module")
def probe(strategies: Mapping[str, Config], index: ImageIndex) -> MultiDepthProbe:
    config = strategies["all"]
    return multi_depth_probe(config, index, SIZE, open_activation_cache(config, SIZE))


def test_the_probe_tells_red_from_blue_with_any_share_of_the_images(probe: MultiDepthProbe) -> None:
    found = probe.curve()
    assert found.images == (8, 18, 36)
    assert found.accuracies[-1] == 1


def test_which_strategies_the_features_solve(words: list[str], strategies: Mapping[str, Config]) -> None:
    solved = {name: solved_on_features(config) for name, config in strategies.items()}
    assert solved == {"multi_depth": "every", "head_only": "last", "all": None, "all_light": None}
    assert solved_on_features(compose([*words, "head=multi_depth", "freeze=last_block"])) is None  # it fine-tunes


def test_a_strategy_that_cannot_be_beaten_ends_the_trials(
    strategies: Mapping[str, Config], probe: MultiDepthProbe
) -> None:
    activations = open_activation_cache(strategies["all"], SIZE)
    found = try_strategies(strategies, probe, SIZE, activations, Deadline(1000))
    assert [(trial.strategy, trial.accuracy) for trial in found.tried] == [("multi_depth", 1), ("head_only", 1)]
    assert (found.strategy, found.images) == ("multi_depth", 36)
    assert [one.reason for one in found.not_tried] == [
        "it could not beat 100.0 % by enough to justify its time",
        "it could not beat 100.0 % by enough to justify its time",
    ]


def test_strategies_are_tried_in_order_as_long_as_there_is_time(
    strategies: Mapping[str, Config], probe: MultiDepthProbe
) -> None:
    activations = open_activation_cache(strategies["all"], SIZE)
    trained = {name: strategies[name] for name in ("all", "all_light")}
    none = try_strategies(trained, probe, SIZE, activations, Deadline(0))
    assert (none.strategy, none.tried, len(none.not_tried)) == ("all", (), 2)
    over = try_strategies(trained, probe, SIZE, activations, Deadline(5, started=time.perf_counter() - 6))
    assert [one.reason for one in over.not_tried] == ["the 5 s for trials were over"] * 2
    found = try_strategies({"all": strategies["all"]}, probe, SIZE, activations, Deadline(1000))
    [trial] = found.tried
    assert 0 <= trial.accuracy <= 1
    assert trial.whole_seconds > 0


def test_a_trial_ends_when_the_time_is_over(strategies: Mapping[str, Config], probe: MultiDepthProbe) -> None:
    activations = open_activation_cache(strategies["all"], SIZE)
    longer = dataclasses.replace(strategies["all_light"], epochs=1000)
    with pytest.raises(OutOfTime, match="its trial was stopped after"):
        train_strategy("all", longer, probe, probe.training, SIZE, activations, Deadline(0))
    assert activations.ends is None


def test_an_epoch_shows_that_there_is_no_time_for_the_others(strategies: Mapping[str, Config]) -> None:
    config = compose([*TINY, "freeze=all", "epochs=10"])
    record = EpochRecord(1, "head", 1.0, 0.5, 1.0, 0.5, 0.1, seconds=10.0)
    early, late = (Projection(config, time.perf_counter(), Deadline(seconds)) for seconds in (200, 50))
    for _ in range(2):
        early(record)
    late(record)  # it includes tracing
    with pytest.raises(OutOfTime, match="its trial would have taken about 80 s"):
        late(record)


@pytest.mark.parametrize(
    ("accuracies", "images", "expected"),
    [((0.90, 0.95), 1000, "b"), ((0.90, 0.904), 1000, "a"), ((0.90, 0.91), 50, "a"), ((0.90, 0.80), 1000, "a")],
)
def test_a_small_lead_does_not_justify_a_more_expensive_strategy(
    accuracies: tuple[float, float], images: int, expected: str
) -> None:
    trials = [
        Trial(strategy=name, accuracy=accuracy, seconds=1.0, whole_seconds=1.0)
        for name, accuracy in zip("ab", accuracies, strict=True)
    ]
    assert winner(trials, images) == expected


def test_fitting_on_some_images_uses_only_them(probe: MultiDepthProbe) -> None:
    images = probe.training.take(np.flatnonzero(np.arange(len(probe.training)) % 2 == 0))
    assert 0.5 <= probe.correct(images).mean() <= 1
    assert 0.5 <= probe.correct(images, last_depth=True).mean() <= 1


def test_the_next_command_finds_the_same_whatever_its_seed_and_time(
    words: list[str],
    strategies: Mapping[str, Config],
    index: ImageIndex,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    solved = {name: strategies[name] for name in ("multi_depth", "head_only")}
    first = find_strategy(strategies["all"], solved, {"none": "it does not fit"}, index, SIZE)
    assert first.probe is not None
    assert first.choice.not_tried[-1].reason == "it does not fit"
    with monkeypatch.context() as patch:
        patch.setattr(findings, "multi_depth_probe", None)  # nothing is computed
        seeded = {name: dataclasses.replace(config, seed=3) for name, config in solved.items()}
        again = find_strategy(dataclasses.replace(strategies["all"], seed=3), seeded, {}, index, SIZE)
    assert (again.placement, again.choice, again.probe) == (first.placement, first.choice, None)
    assert "are reused; headstart cache prune --trials" in capsys.readouterr().out

    other = find_strategy(strategies["all"], {"multi_depth": solved["multi_depth"]}, {}, index, SIZE)
    assert other.probe is not None  # another question
    off = compose([*words, "cache=off"])
    for _ in range(2):
        assert find_strategy(off, solved, {}, index, SIZE).probe is not None
    assert "cache=off: the trials are not stored" in capsys.readouterr().out
