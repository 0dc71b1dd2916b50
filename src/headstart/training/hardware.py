"""Set up the hardware: devices, precision, determinism and memory."""

from __future__ import annotations

import ctypes
import functools
import platform
from typing import TYPE_CHECKING

from headstart.core import gpu
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import tensorflow as tf

M_TOP_PAD = -2  # the setting's number in glibc's malloc.h
KEPT_BYTES = 64 * 2**20  # more than the largest heap of a thread in glibc, so that no heap is trimmed
FAST_FLOAT16 = (7, 0)  # NVIDIA GPUs have tensor cores from this compute capability on (Volta, 2017)


def keep_freed_memory() -> None:
    """Let the C library keep the memory that TensorFlow frees instead of returning it to the system after every step.

    By default glibc trims its heaps and requests the same pages again, zeroed, a moment later: two million page faults
    in an epoch of one second on two cores. Call this before TensorFlow starts its threads. It does nothing with other C
    libraries.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_TOP_PAD, KEPT_BYTES)


def expect_gpu() -> None:
    """Raise unless TensorFlow can use a GPU.

    Raises:
        HeadstartError: gives the reason.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return
    reason = gpu.hiding_setting() or (gpu.why_unused("") if gpu.has_gpu() else "there is none in this machine")
    raise HeadstartError(f"Expected a GPU for device=gpu. Received: none that TensorFlow can use: {reason}")


def prepare_devices(device: str = "auto") -> list[str]:
    """Let TensorFlow allocate GPU memory as it needs it, and return the names of the logical GPUs.

    Args:
        device: `auto` and `gpu` use all GPUs, `cpu` none.

    Raises:
        HeadstartError: when this process has already used its devices with other settings.
    """
    import tensorflow as tf

    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    try:
        if tf.config.get_visible_devices("GPU") != gpus:
            tf.config.set_visible_devices(gpus, "GPU")
        for one in gpus:
            tf.config.experimental.set_memory_growth(one, True)
    except RuntimeError as error:  # the devices are in use already, too late for the setting
        raise HeadstartError(f"Expected a process that has not used its GPU yet. Received: {error}") from error
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def choose_precision(precision: str) -> str:
    """Return the Keras dtype policy for a configured precision.

    Args:
        precision: `auto`, `float32`, `mixed_float16` or `mixed_bfloat16`. `auto` is `mixed_float16` if every
            visible GPU has tensor cores, else `float32`: half precision is slower on a CPU.
    """
    import tensorflow as tf

    if precision != "auto":
        return precision
    gpus = tf.config.get_visible_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(one).get("compute_capability", (0, 0)) for one in gpus]
    return "mixed_float16" if gpus and min(capabilities) >= FAST_FLOAT16 else "float32"


def choose_strategy(devices: list[str]) -> tf.distribute.Strategy:
    """Return the strategy that trains on all given devices at once.

    Args:
        devices: names of logical devices; two or more share each batch.
    """
    import tensorflow as tf

    return _mirrored(tuple(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the only strategy of this process for these devices.

    A second one would number its collective operations like the first, and TensorFlow 2.21 refuses them if the shapes
    differ ("Shape mismatch in the collective instance"), for example in the second job of a sweep in one process.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def seed_everything(seed: int, deterministic: bool, precision: str) -> None:
    """Reset Keras and set all seeds, whatever ran in this process before.

    Args:
        seed: of Python, NumPy and TensorFlow.
        deterministic: whether TensorFlow refuses operations whose result depends on timing.
        precision: the Keras dtype policy.
    """
    import keras
    import tensorflow as tf

    keras.backend.clear_session()  # also restarts the numbering of automatic layer names
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
