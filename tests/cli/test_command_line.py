"""The commands that the README names, through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_inception_with_its_last_block_open(folder: Path, tmp_path: Path) -> None:
    directory = command(
        tmp_path, "backbone=inceptionv3", "freeze=last_block", "image_size=75", f"dataset.root={folder}"
    )
    results = json.loads((directory / "results.json").read_text())
    assert results["status"] == "FINISHED"
    trainable = results["parameters"]["trainable_by_stage"]
    assert trainable["head"] == 2048 * 3 + 3
    assert trainable["last_block"] > 5_000_000


def test_the_quick_experiment(folder: Path, tmp_path: Path) -> None:  # the recipes: test_experiments.py
    directory = command(tmp_path, "experiment=quick", "backbone=small_cnn", "image_size=32", f"dataset.root={folder}")
    assert json.loads((directory / "results.json").read_text())["status"] == "FINISHED"


def command(directory: Path, *overrides: str) -> Path:
    answer = start(*overrides, "dataset=folder", "backbone.weights=none", "epochs=1", f"hydra.run.dir={directory}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == ""  # nothing but what is meant for people
    return directory


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
