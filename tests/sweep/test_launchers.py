"""Adaptations to Hydra's launchers, without any of them installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from headstart.sweep import launchers


def launcher(name: str, **values: Any) -> DictConfig:
    return OmegaConf.create({"_target_": f"hydra_plugins.somewhere.{name}", **values})


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


@pytest.mark.parametrize(
    ("config", "jobs"),
    [
        (launcher("BasicLauncher"), 1),
        (launcher("JoblibLauncher", n_jobs=3), 3),
        (launcher("JoblibLauncher", n_jobs=-1), 8),
        (launcher("JoblibLauncher", n_jobs=-2), 7),
        (launcher("LocalLauncher", cpus_per_task=None), 1),
        (launcher("LocalLauncher", cpus_per_task=3), 2),
        (launcher("RayLauncher", ray={"init": {}, "remote": {}}), 8),
        (launcher("RayLauncher", ray={"init": {}, "remote": {"num_cpus": 16}}), 1),
        (launcher("SlurmLauncher", cpus_per_task=4), 1),
    ],
)
def test_how_many_jobs_share_this_machine(config: DictConfig, jobs: int) -> None:
    assert launchers.jobs_at_once(config) == jobs


def test_submitit_jobs_see_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert launchers.environment_of_a_job(launcher("LocalLauncher"))["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "CUDA_VISIBLE_DEVICES" not in launchers.environment_of_a_job(launcher("SlurmLauncher"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert launchers.environment_of_a_job(launcher("LocalLauncher"))["CUDA_VISIBLE_DEVICES"] is None


def test_paths_are_the_same_from_another_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_DATA", "data")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    environment = launchers.environment_of_a_job(launcher("RayLauncher"))
    assert environment["HEADSTART_DATA"] == str(tmp_path / "data")
    assert environment["MLFLOW_TRACKING_URI"] == "http://localhost:5000"


@pytest.mark.parametrize(("given", "minutes"), [([], launchers.NO_LIMIT), (["hydra.launcher.timeout_min=5"], 5)])
def test_waiting_for_a_slot_does_not_time_out(given: list[str], minutes: int) -> None:
    local = launcher("LocalLauncher", timeout_min=5 if given else 60)
    hydra = OmegaConf.create({"launcher": local, "overrides": {"hydra": given}})
    launchers.adjust(hydra)
    assert hydra.launcher.timeout_min == minutes


@pytest.mark.parametrize(("address", "init"), [(None, {}), ("auto", {"object_store_memory": None})])
def test_a_ray_cluster_has_its_own_memory(address: str | None, init: dict[str, None]) -> None:
    ray = {"init": {"address": address}, "remote": {}}
    hydra = OmegaConf.create({"launcher": launcher("RayLauncher", ray=ray), "overrides": {"hydra": []}})
    launchers.adjust(hydra)
    assert hydra.launcher.ray.init == {"address": address, **init}
