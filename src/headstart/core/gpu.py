"""Detects a GPU that TensorFlow cannot use, and finds out why."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

NVIDIA_VENDOR_ID = "0x10de"  # on the PCI bus
DISPLAY_CLASS_PREFIX = "0x03"  # PCI classes of graphics devices
PROBE_TIMEOUT = 120  # seconds for a subprocess that imports TensorFlow to read its log
PROBE = "import tensorflow; print(tensorflow.config.list_physical_devices('GPU'))"
CUDA_LIBRARIES = "pip install 'headstart[cuda]' installs CUDA's libraries"
# Patterns in TensorFlow's log with their meaning; the first match counts. Sources: xla/stream_executor/cuda (cuda_
# platform.cc, cuda_diagnostics.cc, cudart_stub.cc), tsl dso_loader.cc, gpu_device.cc, and logs in TensorFlow's issues.
REASONS = (
    (
        r"kernel version (?P<kernel>[\d.]+\d) does not match DSO version (?P<library>[\d.]+\d)",
        "the driver's kernel module is version {kernel}, its library version {library}; restart the machine, or "
        "install one version of the driver",
    ),
    (
        r"compute capability (?P<has>\d+\.\d+)\. The minimum required Cuda capability is (?P<needs>\d+\.\d+)",
        "its compute capability is {has}, and TensorFlow needs {needs}",
    ),
    (
        r"(?P<error>CUDA driver version is insufficient for CUDA runtime version|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|"
        r"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)",
        "the driver is too old for TensorFlow's CUDA ({error}); install a newer one",
    ),
    (
        r"failed call to cuInit: .*\(303\)",
        "libcuda.so.1, a part of NVIDIA's driver, cannot be loaded; install the driver, or start the container with "
        "--gpus all",
    ),
    (
        r"failed call to cuInit: (?:INTERNAL: CUDA error: (?:Failed call to cuInit: )?)?(?P<error>.*\S)",
        "the driver does not start ({error}); nvidia-smi says more, and a restart often helps",
    ),
    (r"Could not (?:load dynamic|dlopen) library '", "{libraries} cannot be loaded; " + CUDA_LIBRARIES),
    (r"Cannot dlopen some GPU libraries", "some of CUDA's libraries cannot be loaded; " + CUDA_LIBRARIES),
    (r"Could not find cuda drivers on your machine", "CUDA's runtime is not found; " + CUDA_LIBRARIES),
)


def has_gpu(root: Path = Path("/")) -> bool:
    """Return whether this machine has an NVIDIA GPU, with or without a working driver.

    Args:
        root: of the file system.
    """
    patterns = ("proc/driver/nvidia/gpus/*", "dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so*")
    return any(path for pattern in patterns for path in root.glob(pattern)) or any(
        _read(device / "vendor") == NVIDIA_VENDOR_ID and _read(device / "class").startswith(DISPLAY_CLASS_PREFIX)
        for device in root.glob("sys/bus/pci/devices/*")
    )


def reason_in_log(log: str) -> str | None:
    """Return why TensorFlow uses no GPU, in words; None if the log does not tell.

    Args:
        log: TensorFlow's output while it searched for GPUs.
    """
    for pattern, meaning in REASONS:
        match = re.search(pattern, log)
        if match:
            libraries = re.findall(r"Could not (?:load dynamic|dlopen) library '([^']+)'", log)
            return meaning.format(libraries=", ".join(dict.fromkeys(libraries)), **match.groupdict())
    return None


def hiding_setting() -> str | None:
    """Return a text about the environment variable that hides all GPUs from this process, None if none does."""
    devices = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if devices is None or devices.strip() not in ("", "-1") else f"CUDA_VISIBLE_DEVICES={devices} hides it"


@functools.cache
def why_unused(log: str) -> str:
    """Return why TensorFlow does not use the GPU of this machine.

    Args:
        log: TensorFlow's output while it searched for GPUs in this process. If it does not tell why, a subprocess
            imports TensorFlow again with full logging, which takes seconds.
    """
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA; " + CUDA_LIBRARIES
    reason = reason_in_log(log) or reason_in_log(_full_log())
    return reason or f'TF_CPP_MIN_LOG_LEVEL=0 python -c "{PROBE}" shows the log of TensorFlow'


def _full_log() -> str:
    """Return everything that TensorFlow logs while it searches for GPUs in a subprocess."""
    full_logging = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "dso_loader=1"}  # the latter names the libraries
    command = [sys.executable, "-c", PROBE]
    try:
        probe = subprocess.run(
            command, env={**os.environ, **full_logging}, capture_output=True, timeout=PROBE_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return probe.stderr.decode(errors="replace")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
