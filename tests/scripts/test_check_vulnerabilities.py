"""The check of the pinned packages never says that nothing is known when nothing was asked."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import check_vulnerabilities

SOUND: dict[str, Any] = {"name": "rich", "version": "15.0.0", "vulns": []}
SKIPPED = {"name": "keras", "skip_reason": "Dependency not found"}
KNOWN = {"name": "old", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([SOUND], 0, "1 of 1 packages were looked up, 0 of those have known vulnerabilities"),
        ([SOUND, KNOWN, SKIPPED], 1, "old 1: CVE-1, fixed in 2"),
        ([SOUND, SKIPPED], 2, "keras was not looked up: Dependency not found"),
        ([SKIPPED], 2, "Nothing was checked"),
        ([], 2, "Nothing was checked"),
    ],
)
def test_the_exit_code_tells_clean_from_unchecked(
    packages: list[dict[str, Any]], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_vulnerabilities.report(packages) == code
    printed = capsys.readouterr().out
    assert says in printed
    assert "0 of those" not in printed or code != 2 or "was not looked up" in printed


@pytest.mark.parametrize(
    ("out", "error", "says"),
    [
        ("", "No module named pip_audit", "No module named pip_audit"),
        ("", "", "without a word"),
        ("[]", "ConnectionError: no route", "no route"),
        ("{", "x", "Nothing was checked"),
    ],
)
def test_no_answer_is_said(
    out: str, error: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, out, error)

    monkeypatch.setattr(subprocess, "run", run)
    assert check_vulnerabilities.main(["--lock", str(tmp_path / "some.lock")]) == 2
    assert str(tmp_path / "some.lock") in asked[0]
    printed = capsys.readouterr().out
    assert printed.startswith("Nothing was checked: ")
    assert says in printed
    assert "pip install pip-audit && make vulnerabilities" in printed
