"""The commands that the README names, through the real command line, as `headstart train` and as `python run.py`."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HEADSTART, TINY

from headstart.cli.train import run_job

# Times, ids and free disk space.
OF_ONE_RUN = {"command", "disk", "overrides", "run_id", "seconds", "data_wait_fraction", "tracking"}
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


@pytest.mark.slow
def test_the_quick_experiment(folder: Path, tmp_path: Path) -> None:  # the recipes: test_experiments.py
    directory = command(tmp_path, "experiment=quick", "backbone=small_cnn", "image_size=32", f"dataset.root={folder}")
    assert json.loads((directory / "results.json").read_text())["status"] == "FINISHED"


@pytest.mark.slow
def test_headstart_train_and_run_py_leave_the_same_results(folder: Path, tmp_path: Path) -> None:
    words = [*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=1", "cache=off"]
    found = []
    for name, program in (("command", (*HEADSTART, "train")), ("file", (sys.executable, "run.py"))):
        output = tmp_path / name
        answer = subprocess.run([*program, *words, f"hydra.run.dir={output}"], cwd=ROOT, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        results = (output / "results.json").read_text().replace(str(output), "OUTPUT")
        found.append(json.loads(results))
        assert found[-1]["best_epoch"].pop("seconds") > 0
    differing = {key for key in found[0] if found[0][key] != found[1].get(key)}
    assert set(found[0]) == set(found[1])
    assert {"command", "run_id"} <= differing <= OF_ONE_RUN
    assert found[0]["command"].startswith("headstart train ")
    assert found[1]["command"].startswith("python run.py ")


def test_the_job_can_be_sent_to_another_process_by_its_name() -> None:
    """Launchers pickle it: by reference, so that the other process imports the same code."""
    assert pickle.loads(pickle.dumps(run_job)) is run_job


def command(directory: Path, *overrides: str) -> Path:
    answer = start(*overrides, "dataset=folder", "backbone.weights=none", "epochs=1", f"hydra.run.dir={directory}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stderr == ""  # nothing but what is meant for people
    return directory


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
