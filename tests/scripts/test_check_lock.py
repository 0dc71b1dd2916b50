"""The lock file follows from pyproject.toml, and what does not is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import check_lock
from check_lock import disagreements

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_lock_file_agrees_with_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_lock.main([]) == 0
    assert "agrees" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("project", "lock", "says"),
    [
        ('"keras>=3.15,<4"', None, r"Expected keras<5,>=4, which pyproject\.toml requires.*Received: 3\."),
        ('"filelock"', None, r"Expected something-new, which pyproject\.toml requires.*Received: no line"),
        (None, "\nhydra-core==", r"Expected hydra-core<1\.4,>=1\.3\.2, which pyproject\.toml.*Received: 1\.0"),
    ],
)
def test_what_disagrees_is_named(project: str | None, lock: str | None, says: str) -> None:
    changed, locked = PROJECT, LOCK
    if project is not None:
        assert project in PROJECT
        changed = PROJECT.replace(project, '"keras>=4,<5"' if "keras" in project else '"something-new"')
    if lock is not None:
        assert lock in LOCK
        locked = re.sub(rf"{lock}\S+", f"{lock}1.0", LOCK)
    found = disagreements(changed, locked)
    assert any(re.search(says, problem) for problem in found), found


def test_lines_that_are_no_pins_come_twice_or_go_missing_are_named() -> None:
    assert any("Expected rich once" in problem for problem in disagreements(PROJECT, LOCK + "rich==1.0\n"))
    for line in ("rich>=13", "-r other.txt", "rich @ https://example.org/rich.whl", "https://example.org/rich.whl"):
        assert any(problem.endswith(f"Received: {line}") for problem in disagreements(PROJECT, f"{LOCK}{line}\n")), line
    without = "".join(line for line in LOCK.splitlines(keepends=True) if not line.startswith("mdurl=="))
    assert disagreements(PROJECT, without) == [
        "Expected mdurl, which markdown-it-py requires, in requirements.lock. Received: no line"
    ]


def test_what_nobody_requires_is_named() -> None:
    found = disagreements(PROJECT.replace('"mlflow>=3.6,<4",', ""), LOCK)
    assert any("Received: mlflow, which nobody requires" in problem for problem in found), found
