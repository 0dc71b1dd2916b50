"""Samples the machine while a run trains: processor, memory and GPUs, under the names that MLflow gives them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from headstart.tracking.run import Tracker

LOG = logging.getLogger(__name__)
PREFIX = "system/"  # MLflow shows these metrics on a page of their own
MEGABYTE = 1e6  # bytes, as MLflow counts them
Sample = dict[str, float]


@contextlib.contextmanager
def system_metrics(tracker: Tracker, interval: float) -> Iterator[None]:
    """Log the state of the machine every so many seconds within this context.

    Args:
        tracker: of the run.
        interval: seconds; 0 logs nothing.
    """
    if not interval:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_sample, args=(tracker, interval, ended), name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sample(tracker: Tracker, interval: float, ended: threading.Event) -> None:
    """Log samples until the run has ended. MLflow's own monitor would do so only while the store is reachable."""
    if ended.wait(interval):  # short runs do not even import what the samples need
        return
    readers, step = _readers(), tracker.next_step(PREFIX)
    while not ended.wait(interval):
        try:
            sample = {key: value for read in readers for key, value in read().items()}
            tracker.log_metrics({f"{PREFIX}{key}": round(value, 1) for key, value in sample.items()}, step)
        except OSError as error:  # a process may not be read, or the disk is full: the run itself notices
            LOG.warning("stopped sampling the machine: %s", error)
            return
        step += 1


def _readers() -> list[Callable[[], Sample]]:
    """Return what reads processor and memory, and the GPUs if they can be read."""
    import psutil

    process = psutil.Process()
    psutil.cpu_percent()  # the first call has no time before it to average over

    def machine() -> Sample:
        memory = psutil.virtual_memory()
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "process_memory_usage_megabytes": process.memory_info().rss / MEGABYTE,
        }

    return [machine, *_gpu_readers()]


def _gpu_readers() -> list[Callable[[], Sample]]:
    """Return what reads each NVIDIA GPU; nothing without `nvidia-ml-py`, which the extra `cuda` installs, or a GPU."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []

    def reader(number: int, handle: object) -> Callable[[], Sample]:
        def gpu() -> Sample:
            try:
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                use = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
            except pynvml.NVMLError:  # busy, or without such a sensor
                return {}
            return {
                f"gpu_{number}_utilization_percentage": use,
                f"gpu_{number}_memory_usage_megabytes": memory.used / MEGABYTE,
                f"gpu_{number}_memory_usage_percentage": memory.used / memory.total * 100,
            }

        return gpu

    return [reader(number, handle) for number, handle in enumerate(handles)]
