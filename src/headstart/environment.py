"""What a run's figures depend on beside its configuration, and where its time went."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

RECORDED_PACKAGES = ("headstart", "tensorflow", "keras", "numpy", "pillow", "scikit-learn", "mlflow", "hydra-core")


def describe_environment(devices: list[str], precision: str) -> dict[str, Any]:
    """Return the versions, the machine and how it was used.

    Args:
        devices: names of the GPUs that trained.
        precision: the Keras dtype policy.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "gpus": devices,
        "precision": precision,
        "packages": {package: version(package) for package in RECORDED_PACKAGES},
    }


def command_line() -> str:
    """Return the command that started this process, as it can be typed again."""
    import shlex

    return shlex.join(["python", *sys.argv])


class Clock:
    """Seconds by phase of a run."""

    def __init__(self, started: float) -> None:
        """Start with the time that passed since the process began.

        Args:
            started: when it began, seconds since the epoch.
        """
        self.started = started
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        began = time.time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.time() - began

    def summary(self) -> dict[str, float]:
        """Return the seconds of every phase and in all, rounded to a millisecond."""
        return {name: round(value, 3) for name, value in {**self.seconds, "total": time.time() - self.started}.items()}
