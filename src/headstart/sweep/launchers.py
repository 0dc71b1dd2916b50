"""Adapts to Hydra's launchers: how many jobs share a machine, and the settings that some launchers lack."""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig, open_dict, read_write

from headstart.config import find_override_value, unresolved_overrides

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
JOBLIB, SUBMITIT, SLURM, RAY = "JoblibLauncher", "LocalLauncher", "SlurmLauncher", "RayLauncher"
ELSEWHERE = (SLURM, RAY)  # their jobs may run on machines with other file systems
# Environment variables that the configuration and the jobs read.
PATHS = ("HEADSTART_OUTPUTS", "HEADSTART_CACHE", "HEADSTART_DATA")
NEEDED = ("MLFLOW_TRACKING_URI",)
NO_LIMIT = 60 * 24 * 365  # minutes


def name_of(launcher: DictConfig) -> str:
    """Return the name of a launcher's class."""
    return launcher._target_.rpartition(".")[2]


def is_given(hydra: DictConfig, key: str) -> bool:
    """Return whether the command line says something on a key of Hydra's own."""
    return find_override_value(unresolved_overrides(hydra.overrides.hydra), key) is not None


def adjust(hydra: DictConfig) -> None:
    """Change launcher defaults that would break a sweep.

    Args:
        hydra: the section `hydra` of the configuration; its launcher is changed.
    """
    with read_write(hydra), open_dict(hydra):
        launcher = hydra.launcher
        if name_of(launcher) == SUBMITIT and not is_given(hydra, "hydra.launcher.timeout_min"):
            launcher.timeout_min = NO_LIMIT  # the default of one hour includes the wait for other jobs
        if name_of(launcher) == RAY and launcher.ray.init.get("address"):
            launcher.ray.init.setdefault("object_store_memory", None)  # a cluster refuses the default number


def jobs_at_once(launcher: DictConfig) -> int:
    """Return how many jobs of a launcher run on this machine at once."""
    processors = os.cpu_count() or 1
    each = processors_of_a_job(launcher)
    if each is not None:
        return max(1, int(processors / each))
    if name_of(launcher) != JOBLIB:
        return 1
    number = int(launcher.n_jobs)
    return number if number > 0 else max(1, processors + 1 + number)


def processors_of_a_job(launcher: DictConfig) -> float | None:
    """Return the processors per job of launchers that count processors but do not pin jobs to them, else None."""
    if name_of(launcher) == RAY:
        return float(launcher.ray.remote.get("num_cpus") or 1)  # Ray's default
    if name_of(launcher) == SUBMITIT:  # starts all jobs at once; headstart makes them wait for a slot
        return float(launcher.cpus_per_task or os.cpu_count() or 1)
    return None


def environment_of_a_job(launcher: DictConfig) -> dict[str, str | None]:
    """Return the environment variables to set in each job; None unsets a variable."""
    environment: dict[str, str | None] = {
        name: str(Path(value).absolute()) for name in PATHS if (value := os.environ.get(name)) is not None
    }
    environment |= {name: value for name in NEEDED if (value := os.environ.get(name)) is not None}
    if name_of(launcher) == SUBMITIT:  # it would give the first GPUs, or none, to every job
        environment["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return environment
