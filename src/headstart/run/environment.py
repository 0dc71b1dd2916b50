"""Describe a run's environment, and the changes between two environments."""

from __future__ import annotations

import dataclasses
import os
import platform
from importlib.metadata import version
from typing import Any

from headstart.core.environment import commit
from headstart.results.sections import Environment

RECORDED_PACKAGES = ("headstart", "tensorflow", "keras", "numpy", "pillow", "scikit-learn", "mlflow", "hydra-core")


def describe_environment(devices: list[str], precision: str, inference_backend: str) -> Environment:
    """Return the section `environment` of a run's results.

    Args:
        devices: names of the GPUs that the run trains on.
        precision: the Keras dtype policy.
        inference_backend: the backend that runs inference, `tensorflow` or `openvino`.
    """
    packages = (*RECORDED_PACKAGES, *(["openvino"] if inference_backend == "openvino" else []))
    return Environment(
        commit=commit(),
        python=platform.python_version(),
        platform=platform.platform(),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        gpus=tuple(devices),
        precision=precision,
        inference_backend=inference_backend,
        packages={package: version(package) for package in packages},
    )


def environment_changes(then: Environment, now: Environment) -> list[str]:
    """Return a phrase for each change between two environments.

    Args:
        then: the earlier one.
        now: the later one.
    """
    before, after = _flat(then), _flat(now)
    return [
        f"{name} {_text(value)} then, {_text(after.get(name))} now"
        for name, value in before.items()
        if value != after.get(name)
    ]


def _flat(environment: Environment) -> dict[str, Any]:
    """Return every value by name, without CUDA_VISIBLE_DEVICES, which `gpus` reflects."""
    values = {item.name: getattr(environment, item.name) for item in dataclasses.fields(environment)}
    del values["visible_gpus"], values["packages"]
    return {**values, **environment.packages}


def _text(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else "none" if value is None else str(value)
