"""A GPU that the machine has and TensorFlow cannot use: whether there is one, and why not."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

NVIDIA = "0x10de"  # vendor's number on the PCI bus
DISPLAY = "0x03"  # how the numbers of the classes of graphics devices begin
SECONDS_TO_ASK = 120  # until a process that imports TensorFlow to look at its log is given up
QUESTION = "import tensorflow; print(tensorflow.config.list_physical_devices('GPU'))"
CUDA_LIBRARIES = "pip install 'headstart[cuda]' brings CUDA's libraries"
# What TensorFlow's log says, and what that means; the first one that fits. Sources: xla/stream_executor/cuda (cuda_
# platform.cc, cuda_diagnostics.cc, cudart_stub.cc), tsl dso_loader.cc, gpu_device.cc, and the logs in its issues.
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
    """Return whether this machine has an NVIDIA GPU, with or without a driver that works.

    Args:
        root: of the file system.
    """
    places = ("proc/driver/nvidia/gpus/*", "dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so*")
    return any(found for place in places for found in root.glob(place)) or any(
        _read(device / "vendor") == NVIDIA and _read(device / "class").startswith(DISPLAY)
        for device in root.glob("sys/bus/pci/devices/*")
    )


def reason_in(log: str) -> str | None:
    """Return why TensorFlow uses no GPU, in words; None where its log does not say.

    Args:
        log: what it printed while it looked for GPUs.
    """
    for pattern, meaning in REASONS:
        found = re.search(pattern, log)
        if found:
            libraries = re.findall(r"Could not (?:load dynamic|dlopen) library '([^']+)'", log)
            return meaning.format(libraries=", ".join(dict.fromkeys(libraries)), **found.groupdict())
    return None


def hidden() -> str | None:
    """Return the setting with which somebody hides the GPUs from this process, None where nobody does."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if given is None or given.strip() not in ("", "-1") else f"CUDA_VISIBLE_DEVICES={given} hides it"


@functools.cache
def why_unused(log: str) -> str:
    """Return why TensorFlow uses no GPU of this machine, which has one.

    Args:
        log: what it printed while it looked for GPUs in this process; where that does not say why, it is asked again
            in another one, with all its messages, which takes seconds.
    """
    import tensorflow as tf

    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA; " + CUDA_LIBRARIES
    return (
        reason_in(log) or reason_in(_full_log()) or f'TF_CPP_MIN_LOG_LEVEL=0 python -c "{QUESTION}" shows what it says'
    )


def _full_log() -> str:
    """Return what TensorFlow says about GPUs when it may say everything."""
    loud = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "dso_loader=1"}  # which names the libraries
    command = [sys.executable, "-c", QUESTION]
    try:
        asked = subprocess.run(
            command, env={**os.environ, **loud}, capture_output=True, timeout=SECONDS_TO_ASK, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return asked.stderr.decode(errors="replace")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
