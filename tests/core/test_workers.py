"""A worker makes the calls of a command in a subprocess, and what comes of them is the same as without one."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.core import workers
from headstart.core.errors import HeadstartError
from headstart.core.full_disk import is_disk_full
from headstart.core.workers import begin, call, finish, has_worker, worker
from headstart.tracking import StoreUnavailable

NAME = "side"
# Importable in the subprocess, which gets this directory with `sys.path`.
FUNCTIONS = """
import errno, logging, os, signal, sys, time
from headstart.core.console import console
from headstart.core.errors import HeadstartError
from headstart.tracking import StoreUnavailable

def process(): return os.getpid()
def program(): return sys.argv[0]
def fail(): raise HeadstartError("Expected another one")
def away(): raise StoreUnavailable("http://there", "no answer")
def full(file): raise OSError(errno.ENOSPC, "No space left on device", str(file))
def local():
    class OwnError(Exception): pass
    raise OwnError("not importable")
def speak():
    console.print("  [bold] is printed as it is")
    print("lost in the pipe?", flush=True)
    logging.getLogger("headstart.there").warning("a warning")
def write(file, seconds=0):
    time.sleep(seconds)
    file.write_text(str(os.getpid()))
def die():
    if "pytest" not in sys.modules: os.kill(os.getpid(), signal.SIGKILL)
    return "made here"
"""


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Import the functions in this process and in one worker, which takes a moment to start."""
    directory = tmp_path_factory.mktemp("functions")
    (directory / "functions_of_a_worker.py").write_text(FUNCTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        with worker(NAME, len, ""):
            yield


def functions() -> object:
    import functions_of_a_worker  # type: ignore[import-not-found]

    return functions_of_a_worker


@pytest.mark.usefixtures("side")
def test_calls_are_made_in_another_process_of_the_same_program() -> None:
    assert has_worker(NAME)
    assert call(NAME, functions().process) != os.getpid()  # type: ignore[attr-defined]
    assert call(NAME, functions().program) == sys.argv[0]  # type: ignore[attr-defined]


def test_without_a_worker_they_are_made_here() -> None:
    assert not has_worker("none")
    assert call("none", os.getpid) == begin("none", os.getpid).result() == os.getpid()
    finish("none")


@pytest.mark.usefixtures("side")
def test_errors_arrive_as_they_were_raised(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match="Expected another one") as caught:
        call(NAME, functions().fail)  # type: ignore[attr-defined]
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(StoreUnavailable, match=r"Expected a tracking store at http://there .* Received: no answer"):
        call(NAME, functions().away)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="No space left") as full:
        call(NAME, functions().full, tmp_path)  # type: ignore[attr-defined]
    assert is_disk_full(full.value)
    with pytest.raises(RuntimeError, match="OwnError: not importable"):
        call(NAME, functions().local)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("side")
def test_what_a_call_prints_and_logs_appears_here(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "headstart"):
        call(NAME, functions().speak)  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "   is printed as it is\n"
    assert [(record.name, record.message) for record in caplog.records] == [("headstart.there", "a warning")]


@pytest.mark.usefixtures("side")
def test_calls_that_have_begun_are_shared_when_they_are_finished(tmp_path: Path) -> None:
    begin(NAME, functions().write, tmp_path / "0", 0.3)  # type: ignore[attr-defined]
    for name in "123":
        begin(NAME, functions().write, tmp_path / name)  # type: ignore[attr-defined]
    finish(NAME)
    made_by = [int((tmp_path / name).read_text()) for name in "0123"]
    assert made_by[0] != os.getpid()
    assert made_by[3] == os.getpid()
    begin(NAME, functions().fail)  # type: ignore[attr-defined]
    with pytest.raises(HeadstartError, match="Expected another one"):
        finish(NAME)


@pytest.mark.usefixtures("side")
def test_a_worker_that_dies_is_replaced_by_this_process() -> None:
    with worker("dies", len, ""):
        assert call("dies", functions().die) == "made here"  # type: ignore[attr-defined]
        assert call("dies", os.getpid) == os.getpid()
    assert not has_worker("dies")


@pytest.mark.usefixtures("side")
def test_a_command_does_not_end_later_because_a_call_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "GRACE_PERIOD", 0.1)
    started = time.monotonic()
    with worker("hangs", len, ""):
        begin("hangs", functions().write, tmp_path / "never", 60)  # type: ignore[attr-defined]
    assert time.monotonic() - started < 30
    assert not (tmp_path / "never").exists()


COMMAND = """
import os, sys, time
from headstart.core.workers import call, worker
with worker("side", len, ""):
    print(call("side", os.getpid), flush=True)
    call("side", time.sleep, 60)
"""


def test_a_worker_ends_when_its_command_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        number = int(command.stdout.readline())
        command.send_signal(signal.SIGKILL)
    end = time.monotonic() + 120
    while Path(f"/proc/{number}").exists() and "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
