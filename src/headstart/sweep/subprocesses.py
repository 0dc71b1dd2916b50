"""A fresh process for each job, forked from one that has imported TensorFlow but not used it.

A process that ends gives back all its memory, a GPU's too, whatever the libraries kept; a crash takes one job along. A
new interpreter would import TensorFlow and MLflow for every job, for seconds; a fork of one that has takes
milliseconds (`scripts/bench/bench.py jobs` measures both).
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
PAUSE = 0.3  # seconds between two looks at a process
GRACE = 60.0  # seconds that an interrupted job has to close its run


def run_in_subprocess(
    function: Callable[..., Any], *arguments: Any, log: Path, while_it_runs: Callable[[], None] | None = None
) -> int:
    """Call a function in a process of its own and return the exit code, negative for the signal that killed it.

    Args:
        function: importable by name.
        arguments: of the function; they are pickled.
        log: file that gets what is printed.
        while_it_runs: called a few times a second until it ends.

    Raises:
        BaseException: what interrupts this process, after the other one has ended.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([PRELOADED])
    process = context.Process(target=_work, args=(dict(os.environ), ignores_hangup(), log, function, arguments))
    process.start()
    try:
        process.join(None if while_it_runs is None else PAUSE)
        while while_it_runs is not None and process.is_alive():
            while_it_runs()
            process.join(PAUSE)
    except BaseException as interruption:  # of a scheduler too, which raises what it likes
        by_terminal = isinstance(interruption, KeyboardInterrupt) and not isinstance(interruption, Terminated)
        if not by_terminal and process.is_alive():  # Ctrl-C reaches the process by itself
            process.terminate()
        process.join(GRACE)
        if process.is_alive():
            process.kill()
            process.join()
        raise
    return process.exitcode


def _work(
    environment: dict[str, str], detached: bool, log: Path, function: Callable[..., Any], arguments: tuple
) -> None:
    """Be the job: with the environment of the process that asked for it, and no longer than that one lives.

    `detached` is whether that one outlives its terminal.
    """
    os.environ.clear()
    os.environ.update(environment)  # the process this one is forked from has that of its own start
    if hasattr(signal, "SIGHUP"):  # which the process this one is forked from ignores
        signal.signal(signal.SIGHUP, signal.SIG_IGN if detached else signal.SIG_DFL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    handle_signals()
    if hasattr(signal, "SIGUSR2"):  # SLURM's warning goes to every process; the one that asked for this one answers it
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = function(*arguments)
    except KeyboardInterrupt as interruption:
        code = exit_code(interruption)
    sys.exit(code)


def _end_with_parent() -> None:
    """Interrupt this process when the one that asked for it is gone, so that its run is closed as KILLED."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)  # raised in the main thread
    threading.Timer(GRACE, os._exit, [130]).start()


def acquire_slot(directory: Path, places: int) -> tuple[int, FileLock]:
    """Take the first of several places that nobody has, wait where all are taken, and keep it by its lock.

    Args:
        directory: where the jobs of this machine can lock files.
        places: how many jobs share the machine.

    Returns:
        The number of the place and the lock, to be released; a process that dies has released it.
    """
    while True:
        for place in range(places):
            lock = FileLock(directory / f"place-{place}.lock")
            try:
                lock.acquire(timeout=0.02)
            except Timeout:
                continue
            return place, lock


def set_cpu_affinity(place: int, places: int) -> None:
    """Use only one of several equal shares of the processors and GPUs from now on, in this process.

    Args:
        place: which share, from 0.
        places: how many jobs share the machine.
    """
    if places <= 1 or not hasattr(os, "sched_setaffinity"):
        return
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[place::places] or [processors[place % len(processors)]])
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = given.split(",") if given is not None else [str(number) for number in range(_count_gpus())]
    if len(gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[place::places] or [gpus[place % len(gpus)]])


def _count_gpus() -> int:
    """Return the number of NVIDIA GPUs, without the driver, which a process must not start before it forks."""
    directory = Path("/proc/driver/nvidia/gpus")
    return len(list(directory.iterdir())) if directory.is_dir() else 0
