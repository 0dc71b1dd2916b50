"""What plan=true says of one run: images, stages, time and disk; nothing is run, nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import compose
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.run.plan import plan_run


def files(directory: Path) -> list[Path]:
    return sorted(file for file in directory.rglob("*") if "cache" not in file.relative_to(directory).parts)


def plan(folder: Path, output: Path, *more: str) -> None:
    plan_run(compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", "plan=true", *more]), output)


def test_a_run_is_estimated_from_a_similar_earlier_run(
    finished_run: Path, folder: Path, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took = json.loads((finished_run / "results.json").read_text())["seconds"]["total"]
    before = files(outputs)
    plan(folder, outputs / "runs" / "planned", "seed=7")
    said = " ".join(capsys.readouterr().out.split())
    assert f"Plan of last_block linear s7 small_cnn {folder.name}" in said
    assert "30 images of 3 classes" in said
    assert "all 18 6 6" in said
    assert "head head 2 1 adam 0.003" in said
    assert f"The run takes about {took:.0f} s, and writes about" in said
    assert "(estimated from runs that differ only in the seed)" in said
    assert "Nothing was run." in said
    assert files(outputs) == before


def test_a_run_without_similar_earlier_runs_is_timed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_OUTPUTS", str(tmp_path))
    plan(folder, tmp_path / "runs" / "planned")
    said = " ".join(capsys.readouterr().out.split())
    assert "timing a few training steps" in said
    assert "a few seconds more)" in said
    assert "MB besides the cache" in said
    assert files(tmp_path) == [tmp_path / "cache"] or files(tmp_path) == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("find_lr=true", "Pass plan=true or find_lr, not both"),
        ("reproduce=latest", "Pass plan=true or reproduce, not both"),
        ("dataset.root=/nowhere", "Expected dataset.root to be the directory of the images"),
        ("backbone.weights=imagenet", "Expected backbone.weights of small_cnn to be one of"),
    ],
)
def test_a_plan_is_refused_if_its_run_would_be(more: str, reason: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=reason):
        plan(folder, tmp_path / "planned", more)


def test_the_command_leaves_no_run_behind(finished_run: Path, folder: Path, outputs: Path) -> None:
    before = files(outputs)
    words = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2", "plan=true"]
    answer = subprocess.run(
        [sys.executable, "run.py", *words],
        cwd=conf_directory().parent,
        env={**os.environ, "HEADSTART_OUTPUTS": str(outputs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Nothing was run." in answer.stdout
    assert files(outputs) == before
