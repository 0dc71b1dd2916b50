"""Shared by `headstart ui` and `headstart serve`: choose a free port, and run a server that stops with the command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headstart.core.errors import HeadstartError
from headstart.core.signals import handle_signals

GRACE = 10.0  # seconds before a server is killed


def choose_port(wanted: int | None, usual: int, host: str = "127.0.0.1") -> int:
    """Return the port to listen on.

    Args:
        wanted: port that the user gave; None: the usual one, or a free one if that is taken.
        usual: the default port.
        host: the address to listen on.

    Raises:
        HeadstartError: when the given port is taken, or the address does not belong to this computer.
    """
    for port in [wanted] if wanted is not None else [usual, 0]:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except (OSError, OverflowError) as error:
                reason = error
            else:
                return listener.getsockname()[1]
    raise HeadstartError(f"Expected a free address (--host, --port). Received: {host}:{wanted} ({reason})") from reason


def is_listening(port: int) -> bool:
    """Return whether a server listens on a local port."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def serving(command: list[str], log: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, and stop it with its child processes when the block ends or is interrupted.

    Args:
        command: the program and its arguments.
        log: gets what the server prints; None: stderr does, so that stdout has only the link.
    """
    handle_signals()  # SIGTERM stops this command like Ctrl-C, so that the server does not outlive it
    # MLflow looks for uvicorn on PATH; it is installed beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    # In a new session Ctrl-C reaches only this command, which stops the server without tracebacks.
    process = subprocess.Popen(command, env=environment, stdout=log or 2, stderr=log or 2, start_new_session=True)
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and its child processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
