"""Command lines that cannot work: exit code 1, a sentence and perhaps a tip, no traceback, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wrong_configurations as wrong
from forked import ForkServer

from headstart.core.paths import conf_directory

RUN = conf_directory().parent / "run.py"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HEADSTART_OUTPUTS": str(place / "outputs"),
        "HEADSTART_DATA": str(place / "data"),
        "PYTHONIOENCODING": "utf-8:strict",  # as a terminal of most people
    }


def expect_one_sentence(overrides: list[str], code: int, out: str, errors: str) -> None:
    assert (code, len(errors.splitlines()) <= 2) == (1, True), (overrides, out[-500:], errors[-2000:])
    problem, _, tip = errors.partition("\n")
    assert problem.startswith("error: "), (overrides, errors)
    assert len(problem) > 20, (overrides, problem)
    assert not tip or tip.startswith("tip: "), (overrides, tip)
    assert "Traceback" not in out, overrides


def expect_nothing_left(place: Path) -> None:
    assert list((place / "elsewhere").iterdir()) == []
    assert {entry.name for entry in place.iterdir()} <= {"elsewhere", "outputs"}
    assert not list(place.rglob("canary*"))
    assert not list(place.rglob("classifier"))


@pytest.mark.parametrize(
    ("count", "seed"), [(5, 1), *(pytest.param(200, seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_wrong_configurations_are_refused_in_one_sentence(count: int, seed: int, place: Path) -> None:
    configurations = wrong.wrong_configurations(count, seed)
    assert len(configurations) == count
    answer = subprocess.run(
        [sys.executable, wrong.__file__, str(RUN)],
        input=json.dumps(configurations),
        cwd=place / "elsewhere",
        env=environment(place),
        capture_output=True,
        text=True,
        check=True,
    )
    for overrides, (code, out, errors) in zip(configurations, json.loads(answer.stdout), strict=True):
        expect_one_sentence(overrides, code, out, errors)
    expect_nothing_left(place)


@pytest.mark.slow
def test_the_same_from_the_command_line(place: Path) -> None:
    for overrides in wrong.wrong_configurations(200):
        command = [sys.executable, str(RUN), *overrides]
        answer = subprocess.run(
            command, cwd=place / "elsewhere", env=environment(place), capture_output=True, text=True, timeout=120
        )
        expect_one_sentence(overrides, answer.returncode, answer.stdout, answer.stderr)
    expect_nothing_left(place)


NAMES = [
    "../../x",
    "/tmp/headstart_x",
    "..",
    "a/../../b",
    "x\ny",
    "\x1b[31mred",
    "😀",
    "שלום\u202e",
    "a" * 300,
    "$(touch canary)",
]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "../../x" else pytest.mark.slow) for name in NAMES],
    ids=ascii,
)
def test_names_of_sweeps_stay_within_the_outputs(name: str, place: Path, fork_server: ForkServer) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    command = [RUN, "-m", f"sweep.name={quoted}", "seed=0,1", "plan=true", "dataset=digits"]
    answer = fork_server.run(command, cwd=place / "elsewhere", env=environment(place))
    assert "Traceback" not in answer.stdout + answer.stderr
    assert answer.returncode in (0, 1), answer.stdout
    expect_nothing_left(place)
    assert not Path("/tmp/headstart_x").exists()
