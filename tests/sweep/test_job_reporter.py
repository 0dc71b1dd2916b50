"""The line that is printed for each job that has ended."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from test_record import sweep

from headstart.core.process_lock import Process
from headstart.sweep.job_reporter import JobReporter, job_line


def test_a_line_reports_a_job_and_the_remaining_time(tmp_path: Path) -> None:
    record = dataclasses.replace(sweep(tmp_path), jobs=4)
    entries = [
        {"event": "found", "job": 0, "label": "seed=0", "time": 0.0, "accuracy": 0.5},
        {"event": "started", "job": 1, "label": "seed=1", "time": 1.0},
        {"event": "started", "job": 2, "label": "seed=2", "time": 2.0},
        {"event": "finished", "job": 1, "label": "seed=1", "time": 31.0, "seconds": 30.0, "accuracy": 0.925},
        {"event": "failed", "job": 2, "label": "seed=2", "time": 41.0, "seconds": 39.0, "error": "no room"},
    ]
    assert job_line(record, entries[:1]) == "[1 of 4] seed=0: done before, validation 50.0 %"
    # Two at once: one is over after 30 seconds, two are left.
    assert job_line(record, entries[:4]) == "[2 of 4] seed=1: finished in 30 s, validation 92.5 %; about 60 s left"
    assert job_line(record, entries) == "[3 of 4] seed=2: failed in 39 s: no room; about 20 s left"
    assert job_line(dataclasses.replace(record, jobs=None), entries[:1]).startswith("[1] seed=0")


def test_jobs_on_other_machines_are_reported_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = dataclasses.replace(sweep(tmp_path), jobs=1)
    lines = JobReporter(record)
    lines.start()
    record.note("started", 0, "seed=0")
    record.note("finished", 0, "seed=0", seconds=2.0)
    lines.finish()
    assert capsys.readouterr().out == "[1 of 1] seed=0: finished in 2 s\n"


def test_a_sweep_is_abandoned_when_its_process_has_died(tmp_path: Path) -> None:
    here = sweep(tmp_path)
    child = subprocess.Popen(["sleep", "60"])
    gone = dataclasses.replace(Process.current(), number=child.pid, started=None)
    assert not here.is_abandoned()  # a queue has its jobs
    assert not dataclasses.replace(here, launcher=Process.current()).is_abandoned()
    assert not dataclasses.replace(here, launcher=gone).is_abandoned()
    child.kill()
    child.wait()
    assert dataclasses.replace(here, launcher=gone).is_abandoned()
    assert not dataclasses.replace(here, launcher=dataclasses.replace(gone, machine="elsewhere")).is_abandoned()


def test_a_long_reason_is_cut_between_words_because_the_end_of_the_sweep_says_all_of_it(tmp_path: Path) -> None:
    record = dataclasses.replace(sweep(tmp_path), jobs=1)
    error = "Expected the ImageNet weights of vgg16 in a file, or a network to download them. Received: neither of both"
    entry = {"event": "failed", "job": 0, "label": "seed=0", "time": 4.0, "seconds": 3.0, "error": error}
    cut = "Expected the ImageNet weights of vgg16 in a file, or a network to download …"
    assert job_line(record, [entry]) == f"[1 of 1] seed=0: failed in 3 s: {cut}"
