"""What a run's figures depend on beside its configuration, and where its time went."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

RECORDED_PACKAGES = ("headstart", "tensorflow", "keras", "numpy", "pillow", "scikit-learn", "mlflow", "hydra-core")


def describe_environment(devices: list[str], precision: str, engine: str) -> dict[str, Any]:
    """Return the versions, the machine and how it was used.

    Args:
        devices: names of the GPUs that trained.
        precision: the Keras dtype policy.
        engine: what runs a network that only goes forward, `tensorflow` or `openvino`.
    """
    packages = (*RECORDED_PACKAGES, *(["openvino"] if engine == "openvino" else []))
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),  # null is all
        "gpus": devices,
        "precision": precision,
        "engine": engine,
        "packages": {package: version(package) for package in packages},
    }


def command_line() -> str:
    """Return the command that started this process, as it can be typed again."""
    import shlex

    return shlex.join(["python", *sys.argv])


class Clock:
    """Seconds by phase of a run; every moment belongs to one phase, so they add up to the whole."""

    def __init__(self, started: float) -> None:
        """Start in the phase `start_up`.

        Args:
            started: when the process began, seconds since the epoch.
        """
        self.phase, self.since, self.started = "start_up", started, started
        self.seconds: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        """End the phase that is under way and begin another one, or one of before again."""
        now = time.time()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self.since
        self.phase, self.since = phase, now

    def summary(self) -> dict[str, float]:
        """Return the seconds of every phase so far and in all, rounded to a millisecond."""
        self.begin(self.phase)
        phases = {name: round(value, 3) for name, value in self.seconds.items()}
        return {**phases, "total": round(sum(self.seconds.values()), 3)}
