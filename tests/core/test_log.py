"""The log of a run: each event is a line, whatever happens to the run, and the console shows none of it."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.core.log import FILE_NAME, LOGGER, log_end, log_event, run_log
from headstart.run.experiment import run

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (?:INFO|WARNING|ERROR) [\w.]+ \S.*")


def events(directory: Path) -> list[str]:
    """Return the events of a run's log without their time; every line is an event, or belongs to a traceback."""
    lines = (directory / FILE_NAME).read_text(encoding="utf-8").splitlines()
    assert all(LINE.fullmatch(line) or line.startswith("    ") for line in lines)
    return [line.partition(" ")[2] for line in lines if not line.startswith("    ")]


def names(directory: Path) -> list[str]:
    """Return what happened in a run, without logger and values."""
    return [re.split(r" \w+=", event.split(" ", 2)[2])[0] for event in events(directory)]


def test_an_event_is_one_line_with_its_values(tmp_path: Path) -> None:
    with run_log(tmp_path, seed=3):
        log_event(logging.getLogger("headstart.some.room"), "stage ended", stage="a b\n", accuracy=0.123456789, of=None)
    first, event, last = events(tmp_path)
    assert re.fullmatch(r'INFO headstart run started seed=3 version=\S+ command="python .*"', first)
    assert event == r'INFO headstart.some.room stage ended stage="a b\n" accuracy=0.123457'
    assert re.fullmatch(r"INFO headstart run ended status=FINISHED seconds=\d+(\.\d+)?(e-\d+)?", last)


def test_warnings_of_python_and_of_tensorflow_are_logged_and_still_shown(tmp_path: Path) -> None:
    shown: list[str] = []
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_: shown.append(str(message))  # type: ignore[assignment]
    try:
        with run_log(tmp_path), warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("another\nthing", UserWarning, stacklevel=1)
            for name in ("tensorflow", "absl", "another.library"):
                logging.getLogger(name).warning("%s warns", name)
                logging.getLogger(name).info("%s chats", name)
    finally:
        warnings.showwarning = before
    assert shown == ["another\nthing"]
    said = "\n".join(events(tmp_path))
    assert r"WARNING py.warnings UserWarning: another\nthing" in said
    assert "WARNING tensorflow tensorflow warns" in said
    assert "WARNING absl absl warns" in said
    assert "chats" not in said
    assert "another.library" not in said


def test_the_loggers_are_as_before_once_the_run_is_over(tmp_path: Path) -> None:
    loggers = [LOGGER, *(logging.getLogger(name) for name in ("py.warnings", "tensorflow", "absl"))]
    before = [(one.level, one.propagate, list(one.handlers)) for one in loggers], warnings.showwarning
    with pytest.raises(HeadstartError), run_log(tmp_path):
        raise HeadstartError("wrong")
    assert ([(one.level, one.propagate, list(one.handlers)) for one in loggers], warnings.showwarning) == before
    log_event(LOGGER, "after the run")
    assert "after the run" not in (tmp_path / FILE_NAME).read_text(encoding="utf-8")


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with run_log(tmp_path):
        log_event(LOGGER, "stage started")
    assert capsys.readouterr() == ("", "")


def test_whoever_finds_a_dead_run_appends_its_end(tmp_path: Path) -> None:
    log_end(tmp_path, "KILLED", "The process of this job was killed by signal 9")
    assert events(tmp_path) == [
        "ERROR headstart The process of this job was killed by signal 9",
        "INFO headstart run ended status=KILLED",
    ]


def test_the_log_of_a_finished_run(finished_run: Path) -> None:
    found = names(finished_run)
    assert [name for name in found if name != "cache used"][:3] == ["run started", "data checked", "model built"]
    assert found[-1] == "run ended"
    for stage in ("head", "last_block"):
        assert [event.split()[2:4] for event in events(finished_run) if f"stage={stage}" in event].count(
            ["epoch", "ended"]
        ) == 2
    assert found.count("stage started") == found.count("stage ended") == 2
    assert found.count("split evaluated") == 2
    assert "checkpoint saved" in found
    assert "cache used" in found
    results = json.loads((finished_run / "results.json").read_text(encoding="utf-8"))
    text = "\n".join(events(finished_run))
    assert f"config={results['config_hash']}" in text
    accuracy = results["splits"]["test"]["accuracy"]
    assert f"split=test images=6 accuracy={accuracy:.6g}" in text


def test_the_log_of_a_failed_run_has_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="no_such_directory"):
        run(compose([*TINY, f"dataset.root={tmp_path / 'no_such_directory'}"]), tmp_path)
    assert names(tmp_path)[0] == "run started"
    [error] = [event for event in events(tmp_path) if event.startswith("ERROR")]
    assert "no_such_directory" in error
    assert "    Traceback (most recent call last):" in (tmp_path / FILE_NAME).read_text(encoding="utf-8")
    assert "run ended status=FAILED" in events(tmp_path)[-1]


@pytest.mark.slow
def test_a_killed_run_says_so_and_a_resumed_one_appends(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "run"
    words = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=400", f"hydra.run.dir={place}"]
    command = [sys.executable, str(ROOT / "run.py"), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if (place / FILE_NAME).exists() and "epoch ended" in (place / FILE_NAME).read_text(encoding="utf-8"):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "run interrupted by=Terminated" in events(place)[-2]
    assert "run ended status=KILLED" in events(place)[-1]
    assert "run interrupted by" not in printed  # the log is no part of the console
    before = (place / FILE_NAME).read_text(encoding="utf-8")

    words = [sys.executable, str(ROOT / "run.py"), f"resume={place}", "time_limit=1s"]
    subprocess.run(words, check=False, capture_output=True, timeout=240)
    after = (place / FILE_NAME).read_text(encoding="utf-8")
    assert after.startswith(before)
    assert names(place).count("run started") == names(place).count("run ended") == 2
    assert "resume=True" in "".join(events(place)[len(before.splitlines()) :])
