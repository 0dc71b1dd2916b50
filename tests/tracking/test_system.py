"""Processor and memory are sampled while a run trains, and a short run pays nothing for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from headstart.tracking import Tracker
from headstart.tracking.journal import Journal
from headstart.tracking.system import system_metrics

NAMES = {
    *("system/cpu_utilization_percentage", "system/system_memory_usage_percentage"),
    *("system/system_memory_usage_megabytes", "system/process_memory_usage_megabytes"),
}


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(Journal.begin(tmp_path, uri="sqlite:////nowhere.db", experiment="mine", name="run", tags={}))


def samples(tracker: Tracker) -> list[dict]:
    return [entry for entry in tracker.journal.entries() if entry["kind"] == "metrics"]


def sample_until(tracker: Tracker, wanted: int) -> None:
    end = time.monotonic() + 30
    with system_metrics(tracker, 0.02):
        while len(samples(tracker)) < wanted:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_samples_have_steps_that_a_resumed_run_continues(tracker: Tracker) -> None:
    sample_until(tracker, 2)
    before = samples(tracker)
    assert [entry["step"] for entry in before] == list(range(1, len(before) + 1))
    assert all(entry["values"].keys() >= NAMES for entry in before)
    own = before[-1]["values"]["system/process_memory_usage_megabytes"]
    assert own == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.3)
    sample_until(Tracker(tracker.journal), len(before) + 2)
    after = samples(tracker)
    assert [entry["step"] for entry in after] == list(range(1, len(after) + 1))


def test_a_short_run_and_one_without_samples_log_none(tracker: Tracker) -> None:
    began = time.monotonic()
    for interval in (10.0, 0.0):
        with system_metrics(tracker, interval):
            assert any(thread.name == "system metrics" for thread in threading.enumerate()) == bool(interval)
    assert time.monotonic() - began < 5
    assert samples(tracker) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "system metrics"]


def test_a_full_disk_ends_the_samples_and_not_the_run(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "append", fail)
    with system_metrics(tracker, 0.01):
        [thread] = [thread for thread in threading.enumerate() if thread.name == "system metrics"]
        thread.join(30)
        assert not thread.is_alive()
