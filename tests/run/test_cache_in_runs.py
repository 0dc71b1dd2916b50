"""Whole runs on one cache: what is frozen is run once for each image, and nobody can tell from the results."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, write_pictures
from run_files import predictions_of

from headstart.cache import table as table_module
from headstart.cache.store import Cache
from headstart.config import compose
from headstart.core.paths import conf_directory
from headstart.results.file import plain_results
from headstart.run.experiment import run

IMAGES = 30  # 18 to train on, 6 to validate, 6 to test
KILLS = 3
SIGMOID = ("head.output=sigmoid", "dataset.classes=[red,blue]")
RUN = conf_directory().parent / "run.py"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send what is kept to a directory of this test alone."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def results_of(output: Path, folder: Path, *overrides: str) -> dict[str, Any]:
    """Run, and return the results."""
    output.mkdir()
    return plain_results(run(compose([*TINY, f"dataset.root={folder}", "epochs=1", *overrides]), output))


def test_a_run_with_the_same_frozen_part_computes_nothing(folder: Path, cache: Path, tmp_path: Path) -> None:
    first = results_of(tmp_path / "1", folder, "freeze=all")["cache"]
    assert (first["images_computed"], first["images_decoded"]) == (IMAGES, IMAGES)
    assert first["bytes_written"] == first["bytes_estimated"] == IMAGES * (64 * 4 + 32 * 32 * 3)
    # Another head, another optimizer, another split: the frozen part is the same.
    other = results_of(
        tmp_path / "2", folder, "freeze=all", "head=logistic_regression", "dataset.split.seed=1", "batch_size=7"
    )["cache"]
    assert (other["images_computed"], other["images_decoded"]) == (0, 0)
    assert other["images_reused"] > IMAGES
    assert other["bytes_written"] == other["bytes_estimated"] == 0


@pytest.mark.parametrize(
    ("overrides", "computed"),
    [
        pytest.param(("freeze=all",), IMAGES, id="all", marks=pytest.mark.slow),
        pytest.param(("freeze=all", "head=svm"), IMAGES, id="svm", marks=pytest.mark.slow),
        pytest.param((*SIGMOID, "freeze=all"), 20, id="sigmoid", marks=pytest.mark.slow),
        # Test images go through the last split point alone, and through both where each stage is evaluated.
        pytest.param(("freeze=last_block",), 24 + IMAGES, id="last_block", marks=pytest.mark.slow),
        pytest.param(
            ("freeze=last_block", "evaluate_after_each_stage=true"), 2 * IMAGES, id="each_stage", marks=pytest.mark.slow
        ),
        # Of its two stages the last one trains everything, so that the evaluation has no split point.
        pytest.param(("freeze=none",), 24, id="none", marks=pytest.mark.slow),
        pytest.param(("freeze=scratch",), 0, id="scratch", marks=pytest.mark.slow),
    ],
)
def test_runs_with_and_without_the_cache_agree(
    overrides: tuple[str, ...], computed: int, folder: Path, cache: Path, tmp_path: Path
) -> None:
    results = {name: results_of(tmp_path / name, folder, *overrides, f"cache={name}") for name in ("auto", "off")}
    assert results["auto"]["cache"]["images_computed"] == computed
    assert results["auto"]["cache"]["images_decoded"] == (20 if overrides[0] == SIGMOID[0] else IMAGES)
    assert (results["off"]["cache"]["images_decoded"], results["off"]["cache"]["bytes_written"]) == (0, 0)
    (paths, cached), (same, plain) = (predictions_of(tmp_path / name) for name in ("auto", "off"))
    assert paths == same
    np.testing.assert_allclose(cached, plain, atol=1e-5)
    for stage, splits in results["off"].get("stages", {}).items():
        for split, figures in splits.items():
            assert results["auto"]["stages"][stage][split] == pytest.approx(figures, abs=1e-4)


def command(folder: Path, output: Path, *overrides: str) -> list[str]:
    given = [*TINY, f"dataset.root={folder}", f"hydra.run.dir={output}", "epochs=1", "freeze=all", *overrides]
    return [sys.executable, str(RUN), *given]


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of processes that share a cache but no tracking store."""
    directory.mkdir(parents=True, exist_ok=True)
    return {**os.environ, "HEADSTART_OUTPUTS": str(directory)}


@pytest.mark.slow
def test_two_runs_at_once_compute_each_image_once(folder: Path, cache: Path, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            command(folder, tmp_path / name), env=environment(tmp_path / f"outputs {name}"), stdout=subprocess.PIPE
        )
        for name in ("one", "two")
    ]
    for process in processes:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed.decode()
    found = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("one", "two")]
    assert sum(results["cache"]["images_computed"] for results in found) == IMAGES
    assert sum(results["cache"]["images_decoded"] for results in found) == IMAGES
    assert found[0]["splits"] == found[1]["splits"]


@pytest.mark.slow
def test_runs_killed_while_they_compute_leave_a_usable_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More images than a segment, so that a kill finds some written and some not.
    rows = table_module.MIN_SEGMENT_ROWS
    count = 2 * rows + rows // 2
    folder = write_pictures(tmp_path / "pictures", {"red": count // 2, "green": count - count // 2}, size=8)
    chance = random.Random(0)
    for number in range(KILLS):
        before = segments(cache)
        process = subprocess.Popen(
            command(folder, tmp_path / f"killed {number}"),
            env=environment(tmp_path / "outputs"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_the_next_segment(cache, before, process)
        time.sleep(chance.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        assert_sound(cache)
    found = results_of(tmp_path / "whole", folder, "freeze=all")
    assert found["status"] == "FINISHED"
    assert found["cache"]["images_reused"] > 0
    assert found["cache"]["images_decoded"] < count
    assert_sound(cache)
    assert not [file for file in cache.rglob("*") if file.name.endswith(".partial")]
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "no cache"))
    plain = results_of(tmp_path / "plain", folder, "freeze=all", "cache=off")
    assert plain["splits"]["test"]["accuracy"] == found["splits"]["test"]["accuracy"]
    np.testing.assert_allclose(predictions_of(tmp_path / "whole")[1], predictions_of(tmp_path / "plain")[1], atol=1e-5)


def segments(cache: Path) -> int:
    return len([file for file in cache.glob("tables/*/*.json") if file.name != "table.json"])


def wait_for_the_next_segment(cache: Path, before: int, process: subprocess.Popen) -> None:
    """Wait until a run has written something more, or has nothing more to write."""
    end = time.monotonic() + 120
    while segments(cache) == before and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_sound(directory: Path) -> None:
    cache = Cache(directory / "tables", 1e9)
    for table in cache.tables():
        assert list(cache.open_table(table).damaged()) == []
