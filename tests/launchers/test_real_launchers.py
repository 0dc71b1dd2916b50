"""Jobs of each real launcher finish, each with its share of the machine, under one parent run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from launched import ROOT, check_finished, check_tracked, command, launch, needs, results_of, sweep_of

from local_services import missing_for_slurm, slurm

JOBLIB = needs("hydra_plugins.hydra_joblib_launcher", "joblib")
SUBMITIT = needs("hydra_plugins.hydra_submitit_launcher", "submitit")
RAY = needs("hydra_plugins.hydra_ray_launcher", "ray")
PROCESSORS = len(os.sched_getaffinity(0))
SIDE_BY_SIDE = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local", f"hydra.launcher.cpus_per_task={PROCESSORS / 2:.0f}"],
    "ray": ["hydra/launcher=ray", f"+hydra.launcher.ray.remote.num_cpus={PROCESSORS / 2:.0f}"],
}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROCESSORS < 2, reason="one processor cannot be divided")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("joblib", marks=JOBLIB),
        pytest.param("submitit_local", marks=SUBMITIT),
        pytest.param("ray", marks=RAY),
    ],
)
def test_parallel_jobs_divide_the_machine(name: str, folder: Path, tmp_path: Path) -> None:
    jobs = 3
    answer = launch(
        tmp_path,
        *SIDE_BY_SIDE[name],
        f"dataset.root={folder}",
        f"seed=range({jobs})",
        CUDA_VISIBLE_DEVICES="0,1",
        RAY_AUTH_MODE="disabled",  # else Ray writes a token to the home directory
    )
    results = check_finished(tmp_path, answer, jobs)
    check_tracked(tmp_path, jobs)
    assert {result["environment"]["processors"] for result in results} == {(PROCESSORS + 1) // 2, PROCESSORS // 2}
    assert {result["environment"]["visible_gpus"] for result in results} == {"0", "1"}


@SUBMITIT
@pytest.mark.skipif(missing_for_slurm() is not None, reason=str(missing_for_slurm()))
def test_slurm_runs_the_jobs_and_gives_each_its_processors_and_gpu(folder: Path, tmp_path: Path) -> None:
    launcher = ["partition=main", "cpus_per_task=1", "gpus_per_node=1", "timeout_min=30"]
    arguments = ["hydra/launcher=submitit_slurm", *(f"hydra.launcher.{setting}" for setting in launcher)]
    lost = tmp_path / "lost"
    with slurm() as variables:
        answer = launch(tmp_path, *arguments, f"dataset.root={folder},{lost}", "seed=0,1", **variables)
        assert answer.returncode == 1
        assert ": 2 finished, 2 failed" in answer.stdout, answer.stdout + answer.stderr
        assert Counter(result["status"] for result in results_of(tmp_path)) == {"FINISHED": 2, "FAILED": 2}
        lost.symlink_to(folder)
        answer = launch(tmp_path, *arguments, f"dataset.root={folder},{lost}", "seed=0,1", **variables)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert ": 2 finished, 2 done before" in answer.stdout
    environments = [result["environment"] for result in results_of(tmp_path)]
    assert {environment["processors"] for environment in environments} == {1}
    assert {environment["visible_gpus"] for environment in environments} <= {"0", "1"}


@JOBLIB
def test_the_frozen_work_of_twenty_jobs_is_done_once(folder: Path, tmp_path: Path) -> None:
    grid = ["head=linear,dense512", "optimizer=adam,sgd", "seed=range(5)"]
    frozen = ["backbone=efficientnet_lite0", "freeze=all", "epochs=1"]  # the same weights whatever the seed
    answer = launch(tmp_path, *SIDE_BY_SIDE["joblib"], f"dataset.root={folder}", *frozen, *grid)
    caches = [result["cache"] for result in check_finished(tmp_path, answer, 20)]
    images = len(list(folder.glob("*/*.png")))
    assert sum(cache["images_computed"] for cache in caches) == images
    assert sum(cache["images_decoded"] for cache in caches) == images


@JOBLIB
def test_killed_with_its_jobs_the_same_command_completes_the_sweep(folder: Path, tmp_path: Path) -> None:
    arguments = [*SIDE_BY_SIDE["joblib"], f"dataset.root={folder}", "seed=range(4)", "epochs=20"]
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    process = subprocess.Popen(command(*arguments), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("sweeps/*/*/running.json"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    while (running := list(sweep_of(tmp_path).glob("*/running.json"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running  # the jobs ended by themselves
    left = [json.loads(file.read_text())["status"] for file in sweep_of(tmp_path).glob("*/results.json")]
    assert "KILLED" in left
    answer = launch(tmp_path, *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert [result["status"] for result in results_of(tmp_path)] == ["FINISHED"] * 4
