"""Runs each job in a subprocess, forked from a process that has imported TensorFlow but not used it.

A process that ends frees all its memory, on a GPU too, and a crash affects one job only. A new interpreter would spend
seconds on importing TensorFlow and MLflow for every job; a fork takes milliseconds (`scripts/bench.py jobs` measures
both).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headstart.core.signals import Terminated, exit_code, handle_signals, ignores_hangup

PRELOADED = "headstart.sweep.preload"
POLL_INTERVAL = 0.3  # seconds between two checks of a process
GRACE_PERIOD = 60.0  # seconds that an interrupted job has to close its run


def run_in_subprocess(
    function: Callable[..., Any], *arguments: Any, log: Path, while_it_runs: Callable[[], None] | None = None
) -> int:
    """Call a function in a subprocess and return the exit code, or minus the signal that killed it.

    Args:
        function: importable by name.
        arguments: of the function; they are pickled.
        log: file for the subprocess's output.
        while_it_runs: called a few times a second until the subprocess ends.

    Raises:
        BaseException: an interruption of this process, after the subprocess has ended.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([PRELOADED])
    process = context.Process(target=_work, args=(dict(os.environ), ignores_hangup(), log, function, arguments))
    process.start()
    try:
        process.join(None if while_it_runs is None else POLL_INTERVAL)
        while while_it_runs is not None and process.is_alive():
            while_it_runs()
            process.join(POLL_INTERVAL)
    except BaseException as interruption:  # schedulers raise exceptions of many kinds
        by_terminal = isinstance(interruption, KeyboardInterrupt) and not isinstance(interruption, Terminated)
        if not by_terminal and process.is_alive():  # Ctrl-C in the terminal reaches the subprocess directly
            process.terminate()
        process.join(GRACE_PERIOD)
        if process.is_alive():
            process.kill()
            process.join()
        raise
    return process.exitcode


def _work(
    environment: dict[str, str], detached: bool, log: Path, function: Callable[..., Any], arguments: tuple
) -> None:
    """Run the function in the subprocess, with the environment of the parent process, and end if the parent dies.

    `detached` is whether the parent ignores the end of its terminal.
    """
    os.environ.clear()
    os.environ.update(environment)  # the fork server still has the environment it was started with
    if hasattr(signal, "SIGHUP"):  # the fork server ignores it
        signal.signal(signal.SIGHUP, signal.SIG_IGN if detached else signal.SIG_DFL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    handle_signals()
    if hasattr(signal, "SIGUSR2"):  # SLURM sends its warning to every process; the parent handles it
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = function(*arguments)
    except KeyboardInterrupt as interruption:
        code = exit_code(interruption)
    sys.exit(code)


def _end_with_parent() -> None:
    """Interrupt this process when its parent dies, so that its run is closed as KILLED."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # raised in the main thread
    threading.Timer(GRACE_PERIOD, os._exit, [130]).start()


def acquire_slot(directory: Path, slots: int) -> tuple[int, FileLock]:
    """Lock the first free slot of this machine, waiting until there is one.

    Args:
        directory: for the lock files of this machine's jobs.
        slots: number of jobs that may run on the machine at the same time.

    Returns:
        The number of the slot and its lock, to be released; the system releases it if the process dies.
    """
    while True:
        for slot in range(slots):
            lock = FileLock(directory / f"place-{slot}.lock")
            try:
                lock.acquire(timeout=0.02)
            except Timeout:
                continue
            return slot, lock


def set_cpu_affinity(slot: int, slots: int) -> None:
    """Restrict this process to its slot's share of the processors and GPUs.

    Args:
        slot: of this process, from 0.
        slots: number of equal shares.
    """
    if slots <= 1 or not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[slot::slots] or [processors[slot % len(processors)]])
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = given.split(",") if given is not None else [str(number) for number in range(_count_gpus())]
    if len(gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[slot::slots] or [gpus[slot % len(gpus)]])


def _count_gpus() -> int:
    """Return the number of NVIDIA GPUs without loading the driver, which a process must not do before it forks."""
    directory = Path("/proc/driver/nvidia/gpus")
    return len(list(directory.iterdir())) if directory.is_dir() else 0
