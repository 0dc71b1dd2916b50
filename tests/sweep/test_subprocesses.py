"""Subprocesses of jobs: their environment, their exit codes, their share of the machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from headstart.sweep import subprocesses
from headstart.sweep.subprocesses import acquire_slot, run_in_subprocess, set_cpu_affinity


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "PRELOADED", "headstart.core.console")  # TensorFlow would take seconds


def say(text: str) -> int:
    os.write(1, f"{text} {os.environ.get('HEADSTART_WORD')} {os.getpid()}\n".encode())
    return 3


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def fail() -> None:
    raise ValueError("told in the log")


def show_share(places: Path, at_once: int) -> int:
    place, lock = acquire_slot(places, at_once)
    set_cpu_affinity(place, at_once)
    os.write(1, f"{sorted(os.sched_getaffinity(0))} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n".encode())
    assert lock.is_locked
    return 0


def test_a_job_is_another_process_with_the_same_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("first", "second"):
        monkeypatch.setenv("HEADSTART_WORD", word)
        assert run_in_subprocess(say, "here", log=tmp_path / f"{word}.log") == 3
        said = (tmp_path / f"{word}.log").read_text().split()
        assert said[:2] == ["here", word]
        assert int(said[2]) != os.getpid()


def test_the_signal_that_killed_a_job_is_returned(tmp_path: Path) -> None:
    assert run_in_subprocess(die, signal.SIGKILL, log=tmp_path / "log") == -signal.SIGKILL


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_job_like_an_interruption(end: signal.Signals, tmp_path: Path) -> None:
    assert run_in_subprocess(die, end, log=tmp_path / "log") == 128 + end


def test_a_job_outlives_the_terminal_where_the_sweep_does(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert run_in_subprocess(die, signal.SIGHUP, log=tmp_path / "log") == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_is_in_the_log_and_in_the_exit_code(tmp_path: Path) -> None:
    assert run_in_subprocess(fail, log=tmp_path / "log") == 1
    assert "ValueError: told in the log" in (tmp_path / "log").read_text()


def test_a_function_is_called_while_a_job_runs(tmp_path: Path) -> None:
    looks: list[float] = []
    assert run_in_subprocess(os.system, "sleep 1", log=tmp_path / "log", while_it_runs=lambda: looks.append(1)) == 0
    assert looks


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor cannot be divided")
def test_parallel_jobs_divide_processors_and_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    (tmp_path / "places").mkdir()
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    assert run_in_subprocess(show_share, tmp_path / "places", 1, log=one) == 0
    everything = eval(one.read_text().rpartition(" ")[0])
    one.unlink()
    assert run_in_subprocess(show_share, tmp_path / "places", 2, log=one) == 0
    line = one.read_text().splitlines()[0]
    assert line == f"{everything[::2]} 0,2"
    one.unlink()
    lock = acquire_slot(tmp_path / "places", 2)[1]  # as a job that is under way holds it
    assert run_in_subprocess(show_share, tmp_path / "places", 2, log=other) == 0
    lock.release()
    assert other.read_text().splitlines()[0] == f"{everything[1::2]} 1,3"


def test_more_jobs_than_processors_share_them(tmp_path: Path) -> None:
    count = len(os.sched_getaffinity(0))
    assert run_in_subprocess(show_share, tmp_path, 2 * count, log=tmp_path / "log") == 0
    processors = (tmp_path / "log").read_text().rpartition(" ")[0]
    assert len(processors.split(",")) == 1
