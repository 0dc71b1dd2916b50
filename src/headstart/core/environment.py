"""What a run's figures depend on beside its configuration, and where its time went."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

from headstart.core.paths import conf_directory

RECORDED_PACKAGES = ("headstart", "tensorflow", "keras", "numpy", "pillow", "scikit-learn", "mlflow", "hydra-core")


def describe_environment(devices: list[str], precision: str, engine: str) -> dict[str, Any]:
    """Return the versions, the commit, the machine and how it was used.

    Args:
        devices: names of the GPUs that trained.
        precision: the Keras dtype policy.
        engine: what runs a network that only goes forward, `tensorflow` or `openvino`.
    """
    packages = (*RECORDED_PACKAGES, *(["openvino"] if engine == "openvino" else []))
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),  # null is all
        "gpus": devices,
        "precision": precision,
        "engine": engine,
        "packages": {package: version(package) for package in packages},
    }


def commit() -> str | None:
    """Return the commit of headstart's own code, with a digest of what was changed since; None where git has none."""
    root = conf_directory().parent
    if shutil.which("git") is None or _git("rev-parse", "--show-toplevel") != str(root.resolve()).encode():
        return None  # else it could be the commit of a project that headstart is installed in
    changes = _git("diff", "HEAD", "--", "run.py", "src", "conf")
    digest = f" changed {hashlib.sha256(changes).hexdigest()[:8]}" if changes else ""
    return _git("rev-parse", "HEAD").decode() + digest


def _git(*arguments: str) -> bytes:
    """Return what git says of the directory of the code; nothing where it knows none."""
    command = ["git", "-C", str(conf_directory().parent), *arguments]
    return subprocess.run(command, capture_output=True, check=False).stdout.strip()


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what changed between two descriptions of an environment, a phrase each.

    Args:
        then: see `describe_environment`; what it does not say, as one of an earlier version may not, is left out.
        now: the other one.
    """
    flat = [{**known, **known.get("packages", {})} for known in (then, now)]
    ignored = {"packages", "visible_gpus"}  # which GPUs those were is told
    return [
        f"{name} {_text(flat[0][name])} then, {_text(flat[1].get(name))} now"
        for name in flat[0]
        if name not in ignored and flat[0][name] != flat[1].get(name)
    ]


def _text(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, list) else "none" if value is None else str(value)


def command_line() -> str:
    """Return the command that started this process, as it can be typed again."""
    import shlex

    program, *arguments = sys.argv
    # `headstart train` is set by the command itself; any other program is a file.
    start = program.split() if program.startswith("headstart ") else ["python", program]
    return shlex.join([*start, *arguments])


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
