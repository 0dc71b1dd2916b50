"""What the machine offers: devices, precision, determinism; silent where there is no GPU."""

from __future__ import annotations

import ctypes
import functools
import platform
from typing import TYPE_CHECKING

from headstart.core import gpu
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import tensorflow as tf

M_TOP_PAD = -2  # number of the setting in glibc's malloc.h
KEPT_BYTES = 64 * 2**20  # more than the largest heap that glibc makes for a thread, so that none is trimmed
FAST_FLOAT16 = (7, 0)  # compute capability from which NVIDIA GPUs have tensor cores (Volta, 2017)


def keep_freed_memory() -> None:
    """Let the C library keep what TensorFlow frees instead of handing it back to the system after every step.

    By default glibc trims its heaps and gets the same pages again, zeroed, a moment later: two million page faults in
    an epoch of a second's work, as much time as the system took from training on two processors. It has to be said
    before TensorFlow starts its threads. Other C libraries are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_TOP_PAD, KEPT_BYTES)


def expect_gpu() -> None:
    """Raise unless TensorFlow, which is imported, can use a GPU.

    Raises:
        HeadstartError: with the reason why it cannot.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return
    reason = gpu.hiding_setting() or (gpu.why_unused("") if gpu.has_gpu() else "there is none in this machine")
    raise HeadstartError(f"Expected a GPU for device=gpu. Received: none that TensorFlow can use: {reason}")


def prepare_devices(device: str = "auto") -> list[str]:
    """Let TensorFlow take GPU memory as it needs it, and return the names of the logical GPUs.

    Args:
        device: `auto` and `gpu` use those there are, `cpu` none.

    Raises:
        HeadstartError: when this process has used its devices otherwise before.
    """
    import tensorflow as tf

    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    try:
        if tf.config.get_visible_devices("GPU") != gpus:
            tf.config.set_visible_devices(gpus, "GPU")
        for one in gpus:
            tf.config.experimental.set_memory_growth(one, True)
    except RuntimeError as error:  # the devices are in use already, so the setting would come too late
        raise HeadstartError(f"Expected a process that has not used its GPU yet. Received: {error}") from error
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def choose_precision(precision: str) -> str:
    """Return the Keras dtype policy for a configured precision.

    Args:
        precision: `auto`, `float32`, `mixed_float16` or `mixed_bfloat16`. `auto` is `mixed_float16` when every GPU
            that is used has tensor cores, else `float32`: on a CPU half precision is slower.
    """
    import tensorflow as tf

    if precision != "auto":
        return precision
    gpus = tf.config.get_visible_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(one).get("compute_capability", (0, 0)) for one in gpus]
    return "mixed_float16" if gpus and min(capabilities) >= FAST_FLOAT16 else "float32"


def choose_strategy(devices: list[str]) -> tf.distribute.Strategy:
    """Return the strategy that trains on all the given devices at once.

    Args:
        devices: names of logical devices; with two or more each batch is divided between them.
    """
    import tensorflow as tf

    return _mirrored(tuple(devices)) if len(devices) > 1 else tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the one strategy of this process for these devices.

    A second one would number its exchanges between the devices like the first, and TensorFlow 2.21 then refuses them
    where their shapes differ ("Shape mismatch in the collective instance"): the second job of a sweep in one process.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(devices))


def seed_everything(seed: int, deterministic: bool, precision: str) -> None:
    """Start a run from a known state of Keras, whatever ran in this process before.

    Args:
        seed: of Python, NumPy and TensorFlow.
        deterministic: whether TensorFlow must refuse operations whose result depends on timing.
        precision: the Keras dtype policy.
    """
    import keras
    import tensorflow as tf

    keras.backend.clear_session()  # also restarts the numbering of automatic layer names
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
