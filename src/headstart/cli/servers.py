"""What `headstart ui` and `headstart serve` share: a free port, and a server that ends with the command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.signals import handle_signals

GRACE = 10.0  # seconds that a server has to end


def choose_port(wanted: int | None, usual: int, host: str = "127.0.0.1") -> int:
    """Return the port to listen on.

    Args:
        wanted: by the user; None takes the usual one, or any free one if that is taken.
        usual: the port that people expect.
        host: the address to listen on.

    Raises:
        HeadstartError: when the wanted port is taken, or the address is not one of this computer.
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


def answers(port: int) -> bool:
    """Return whether something listens on a port of this computer."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def serving(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server and end it, with the processes that it started, when the block ends or is interrupted.

    Args:
        command: the program and its arguments.
    """
    handle_signals()  # SIGTERM ends this command like Ctrl-C, else the server would stay behind
    # MLflow looks for uvicorn on the path, which lies beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    # A session of its own: Ctrl-C reaches only this command, which ends the server once, without tracebacks.
    # What MLflow prints goes to stderr (2): stdout has the link alone.
    process = subprocess.Popen(command, env=environment, stdout=2, start_new_session=True)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
