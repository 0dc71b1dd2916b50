"""The benchmarks of what every depth costs: each side is measured, and the ratio is of their medians."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

import multi_depth_command
import multi_depth_forward
from timed_run import Finished


def test_the_ratio_of_commands_is_that_of_their_medians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    seconds = {"logistic_regression": iter([20.0, 10.0, 90.0, 12.0, 22.0, 11.0]), "multi_depth": iter([33.0, 11.0] * 3)}
    caches: list[Path] = []

    def run(overrides: list[str], work: Path) -> Finished:
        caches.append(work)
        head = next(word.partition("=")[2] for word in overrides if word.startswith("head="))
        return Finished("", next(seconds[head]), 0, 0.0, None, [])  # type: ignore[arg-type]

    monkeypatch.setattr(multi_depth_command, "run", run)
    assert multi_depth_command.main([str(tmp_path / "birds"), "--repetitions", "3"]) == 0
    said = capsys.readouterr().out
    assert "| birds | empty | 22.0 s | 33.0 s | 1.50 |" in said
    assert "| birds | filled | 11.0 s | 11.0 s | 1.00 |" in said
    assert len(set(caches)) == 6  # an empty cache for each pair of commands
    assert not any(cache.exists() for cache in caches)


def test_backbone_and_classifier_are_timed_in_every_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi_depth_forward, "BATCHES", {1: 2, 3: 1})
    options = argparse.Namespace(backbone="small_cnn", size=32, repetitions=1)
    found = multi_depth_forward.measure(options, "tensorflow")
    assert list(found) == [1, 3]
    assert all(seconds > 0 for pair in found.values() for seconds in pair)
