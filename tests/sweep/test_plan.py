"""The plan of a sweep: the state of its jobs, and their duration estimated from past runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import Config, compose
from headstart.sweep.plan import PlannedJob, plan_jobs, print_plan


@pytest.fixture
def job(finished_run: Path, folder: Path) -> Callable[..., Callable[[], Config]]:
    def resolve(*more: str) -> Callable[[], Config]:
        return partial(compose, [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", *more])

    return resolve


def test_jobs_are_done_or_estimated_from_the_closest_run(
    finished_run: Path, tmp_path: Path, job: Callable[..., Callable[[], Config]]
) -> None:
    (tmp_path / "0").mkdir()
    shutil.copy(finished_run / "results.json", tmp_path / "0")
    took = json.loads((finished_run / "results.json").read_text())["seconds"]
    done, again, longer, unknown = plan_jobs(
        tmp_path,
        [
            ("done", job()),
            ("again", job("seed=1")),
            ("longer", job("epochs=20")),
            ("unknown", job("backbone=xception", "backbone.weights=none", "image_size=72")),
        ],
    )
    assert (done.state, done.seconds) == ("done", None)
    assert (again.state, again.source) == ("to run", "runs that differ only in the seed")
    assert again.seconds == pytest.approx(took["total"], abs=0.01)
    assert again.bytes is not None
    assert again.bytes > 2 * (finished_run / "classifier" / "model.keras").stat().st_size
    assert longer.source == "similar runs"
    assert longer.seconds == pytest.approx(took["total"] + 9 * took["training"], abs=0.01)
    assert (unknown.seconds, unknown.bytes) == (None, None)


def test_a_job_that_cannot_run_says_why(tmp_path: Path, job: Callable[..., Callable[[], Config]]) -> None:
    [planned] = plan_jobs(tmp_path, [("lost", job("dataset.root=/nowhere"))])
    assert planned.state.startswith("will fail: Expected dataset.root to be the directory of the images")


def test_an_earlier_failure_is_reported(
    finished_run: Path, tmp_path: Path, job: Callable[..., Callable[[], Config]]
) -> None:
    results = json.loads((finished_run / "results.json").read_text())
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "results.json").write_text(json.dumps({**results, "status": "FAILED"}))
    [planned] = plan_jobs(tmp_path, [("again", job())])
    assert planned.state == "failed before"


def test_the_plan_shows_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        PlannedJob("seed=0", "done", None, "", None),
        PlannedJob("train={blocks: [block1]}", "to run", 60.0, "like it", 1e6),
        PlannedJob("seed=2", "to run", 60.0, "like it", 1e6),
        PlannedJob("seed=3", "to run", None, "no similar run has finished here", None),
    ]
    print_plan("mine", tmp_path, jobs, at_once=2)
    said = capsys.readouterr().out
    assert "train={blocks: [block1]}" in said
    assert "1 of 4 jobs are done. 2 of the others take about 60 s, 2 at once, and write 2.0 MB" in said
    assert "1 cannot be estimated until a similar run has finished." in said
    assert "Nothing was run." in said
