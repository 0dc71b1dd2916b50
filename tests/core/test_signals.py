"""Signals end a process with the right exit code, and a closed terminal raises no further error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, signal, sys, time
from headstart.core.signals import interrupt_at_batch_end, exit_code, handle_signals

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may be a background job, which ignores it
handle_signals()
try:
    {body}
except KeyboardInterrupt as interruption:
    sys.exit(exit_code(interruption))
print("continued")
"""
SEND = "os.kill(os.getpid(), signal.{0}); time.sleep(1)"
IN_A_BATCH = """
    with interrupt_at_batch_end() as interrupted:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGHUP)
        print("batch", flush=True)
        raise interrupted()
"""


def command(body: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(body=body)]


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 129), ("SIGTERM", 143), ("SIGINT", 130)])
def test_the_exit_code_names_the_signal(name: str, code: int) -> None:
    assert subprocess.run(command(SEND.format(name)), check=False).returncode == code


def test_a_process_under_nohup_survives_a_hangup() -> None:
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(SEND.format("SIGHUP"))]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    assert answer.stdout == "continued\n"


def test_a_batch_is_finished_however_many_signals_a_closing_terminal_sends() -> None:
    answer = subprocess.run(command(IN_A_BATCH.strip()), capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (129, "batch\n")


def test_output_to_a_closed_terminal_is_discarded() -> None:
    body = "print('ready', flush=True); time.sleep(30)"
    program = PROGRAM.format(body=body).replace("sys.exit(exit_code", "print('saved', flush=True); sys.exit(exit_code")
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    while b"ready" not in os.read(master, 1000):
        time.sleep(0.01)
    os.close(master)  # the terminal's window is closed: the kernel sends SIGHUP
    assert process.wait(timeout=120) == 129


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


if not hasattr(signal, "SIGHUP"):
    pytest.skip("there are no such signals here", allow_module_level=True)
