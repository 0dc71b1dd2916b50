"""Subprocesses that do a command's independent work on another processor, such as drawing its figures.

A thread would not help: the imports of TensorFlow and MLflow, and drawing, are Python code, of which one thread runs at
a time. A fork would not work once TensorFlow has started its threads. So a worker is a new interpreter, which imports
what it needs while the command does something else. Without a worker the same calls are made in this process: only
commands start workers, and what they write is the same.

`concurrent.futures.ProcessPoolExecutor` starts as fast but does not suffice: its processes outlive a command that is
killed, it cannot end a call that hangs (before Python 3.14), and an error that cannot be pickled loses its message.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import IO, Any

from headstart.core.console import console

LOG = logging.getLogger(__name__)
REPORTS, TRACKING = "reports", "tracking"  # workers of a command: figures and the audit, and what MLflow gets
PROGRAM = """
import os, pickle, sys
requests = os.fdopen(os.dup(0), "rb")
sys.path[:] = pickle.load(requests)
from headstart.core.workers import serve
serve(requests)
"""
GRACE_PERIOD = 5.0  # seconds that a call has to end when the command is interrupted


@dataclass
class _Reply:
    """What a call gave in a worker."""

    result: Any = None
    error: BaseException | None = None
    printed: str = ""
    logged: list[tuple[str, int, str]] = field(default_factory=list)  # logger, level, message


class Worker:
    """A subprocess that makes calls one after the other, and prints and logs nothing by itself."""

    def __init__(self, name: str, prepare: Callable[..., Any], *arguments: Any) -> None:
        """Start the subprocess.

        Args:
            name: for messages.
            prepare: called in it before anything else, such as to import what the calls need; importable by name.
            arguments: of `prepare`.
        """
        self._name = name
        self._calls: list[Future[Any]] = []
        self._begun: list[tuple[Future[Any], Callable[[], Any]]] = []  # for `finish`
        # In a process group of its own, because Ctrl-C in the terminal is for this process to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._thread.submit(self._write, pickle.dumps(sys.path) + pickle.dumps(sys.argv))
        self._thread.submit(self._call, prepare, arguments)

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
        """Make a call after those before it; the future has its result or its error.

        Args:
            function: importable by name; if the subprocess has died, it is called in this process.
            arguments: of the function; they are pickled.
        """
        self._calls.append(self._thread.submit(self._call, function, arguments))
        return self._calls[-1]

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
        """Make a call that `finish` waits for; otherwise as `call`."""
        self._begun.append((self.call(function, arguments), partial(function, *arguments)))
        return self._begun[-1][0]

    def finish(self) -> None:
        """Wait for the calls that have begun, and raise the first error; this process makes those not yet started."""
        begun, self._begun = self._begun, []
        for future, make in reversed(begun):
            if future.cancel():
                make()
        for future, _ in begun:
            if not future.cancelled():
                future.result()

    def close(self) -> None:
        """End the subprocess; a call that is not over then has GRACE_PERIOD."""
        self._closing = True
        _, unfinished = wait(self._calls, GRACE_PERIOD)
        if unfinished or not self._calls:  # it may still prepare itself
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        with contextlib.suppress(OSError):  # it has died
            self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process.wait()

    def _write(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it has died; reading the reply will fail and handle that
            self._process.stdin.write(message)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def _call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        self._write(pickle.dumps(pickle.dumps((function, arguments))))  # received in one thread, read in another
        try:
            reply: _Reply = pickle.load(self._process.stdout)  # type: ignore[arg-type]
        except (EOFError, pickle.UnpicklingError):
            if self._closing:
                raise
            LOG.warning("the subprocess %s died; this process does its work", self._name)
            return function(*arguments)
        if reply.printed:
            console.print(reply.printed, end="", markup=False)
        for logger, level, message in reply.logged:
            logging.getLogger(logger).log(level, message)
        if reply.error is not None:
            raise reply.error
        return reply.result


_workers: dict[str, Worker] = {}  # that this process has started, by name


@contextlib.contextmanager
def worker(name: str, prepare: Callable[..., Any], *arguments: Any) -> Iterator[None]:
    """Make the calls of a name in a subprocess within this context.

    Args:
        name: see `begin` and `call`.
        prepare: see `Worker`.
        arguments: of `prepare`.
    """
    _workers[name] = Worker(name, prepare, *arguments)
    try:
        yield
    finally:
        _workers.pop(name).close()


def has_worker(name: str) -> bool:
    """Return whether the calls of a name are made in a subprocess."""
    return name in _workers


def call(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function gives, called in the worker of a name, or in this process if there is none.

    Args:
        name: of the worker.
        function: importable by name.
        arguments: of the function.
    """
    return _workers[name].call(function, arguments).result() if name in _workers else function(*arguments)


def begin(name: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Begin a call in the worker of a name, or make it in this process if there is none; see `finish`.

    Args:
        name: of the worker.
        function: importable by name.
        arguments: of the function.

    Returns:
        What has the result of the call, or its error.
    """
    if name in _workers:
        return _workers[name].begin(function, arguments)
    made: Future[Any] = Future()
    made.set_result(function(*arguments))
    return made


def finish(name: str) -> None:
    """Finish the calls of a name that have begun, here and in the worker, and raise the first error of them."""
    if name in _workers:
        _workers[name].finish()


def serve(requests: IO[bytes]) -> None:
    """Make the calls that the parent process requests, and end when it closes the pipe or dies.

    This process then ends at once, even within a call, so that it cannot disturb a command that resumes the run.

    Args:
        requests: the pipe; the replies go to standard output.
    """
    from headstart.core.program import collect_garbage_less_often

    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints is no reply
    collect_garbage_less_often()
    sys.argv = pickle.load(requests)
    asked: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(requests, asked), daemon=True).start()
    while True:
        pickle.dump(_make(asked.get()), replies)
        replies.flush()


def _receive(requests: IO[bytes], asked: SimpleQueue[bytes]) -> None:
    """Receive requests, and end the process when no more can come."""
    with contextlib.suppress(EOFError):
        while True:
            asked.put(pickle.load(requests))
    os._exit(0)


def _make(request: bytes) -> _Reply:
    """Make a call, and return everything that it gave."""
    reply, records = _Reply(), _Records()
    root = logging.getLogger("headstart")
    root.addHandler(records)
    root.setLevel(logging.INFO)
    console.file = printed = io.StringIO()
    try:
        function, arguments = pickle.loads(request)
        reply.result = function(*arguments)
    except Exception as error:  # noqa: BLE001  # raised again by the process that asked
        reply.error = _portable(error)
    finally:
        root.removeHandler(records)
    reply.printed, reply.logged = printed.getvalue(), records.found
    return reply


class _Records(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append((record.name, record.levelno, record.getMessage()))


def _portable(error: Exception) -> Exception:
    """Return an error that can be pickled, with its traceback as a note."""
    try:
        portable: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # whatever the error's class does
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    portable.add_note("".join(traceback.format_exception(error)))
    return portable
