"""Which process works in a directory: named in a lock file, and alive as long as it touches that file.

Locks of the operating system are not enough where machines share a disk: NFS may keep them on each machine, and none of
them says whose it is. On the owner's own machine the process itself is looked for; from another one its heartbeat
counts, the time at which it last touched the lock file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import SoftFileLock, Timeout

from headstart.core.errors import HeadstartError
from headstart.core.files import write_json

HEARTBEAT = 15.0  # seconds between two beats
MISSED_BEATS = 10  # after which an owner on another machine counts as dead
PATIENCE = 30.0  # seconds in which another process reads and writes a lock file, which takes milliseconds


class InUseError(HeadstartError):
    """Another process works in the directory."""


@dataclass(frozen=True)
class Process:
    """A process on one of the machines that share a disk."""

    host: str  # for people
    machine: str  # where process ids mean the same: this boot of this machine, in this container
    number: int
    started: str | None  # tells a process from an earlier one with the same number; null where nothing says it

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        return cls(socket.gethostname(), _machine(), os.getpid(), _start_of(os.getpid()))

    def is_here(self) -> bool:
        """Return whether it is, or was, a process of this machine."""
        return self.machine == _machine()

    def is_gone(self) -> bool:
        """Return whether it was on this machine and has ended; of other machines nothing is known."""
        if not self.is_here():
            return False
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # of another user: it is there
            pass
        started = _start_of(self.number)
        return None not in (started, self.started) and started != self.started


@dataclass(frozen=True)
class Owner:
    """The process that a lock file names."""

    process: Process
    token: str  # tells this time that it took the lock from all others
    silent_for: float  # seconds since the last heartbeat from another machine; 0 on this one

    def is_alive(self) -> bool:
        """Return whether it still works in the directory, as far as that can be known here."""
        if self.process.is_here():
            return not self.process.is_gone()
        return self.silent_for < MISSED_BEATS * HEARTBEAT

    def __str__(self) -> str:
        beat = "" if self.process.is_here() else f", last heartbeat {self.silent_for:.0f} s ago"
        return f"process {self.process.number} on {self.process.host}{beat}"


class Lock:
    """Keeps a directory to this process until `release`, which the end of the process stands for."""

    def __init__(self, file: Path, what: str) -> None:
        """Take the lock.

        Args:
            file: the lock file, in the directory that it is for.
            what: works there, for the message: `run` or `sweep`.

        Raises:
            InUseError: when another process has it.
        """
        self.file, self.token = file, uuid4().hex
        with _nobody_else(file):
            owner = read_owner(file)
            if owner is not None and owner.is_alive():
                raise InUseError(
                    f"This {what} is in progress ({owner}). Wait for it, or stop it. Directory: {file.parent}"
                )
            write_json(file, {"token": self.token, **dataclasses.asdict(Process.current())})
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def release(self) -> None:
        """Let others have the directory."""
        self._released.set()
        self._heart.join()
        with contextlib.suppress(OSError, InUseError), _nobody_else(self.file):  # else it dies with this process
            owner = read_owner(self.file)
            if owner is not None and owner.token == self.token:
                self.file.unlink()

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT):
            with contextlib.suppress(OSError):  # a disk that does not answer now may do so at the next beat
                os.utime(self.file)  # without a time it is that of the file server


def read_owner(file: Path) -> Owner | None:
    """Return the process that a lock file names, None where there is no such file.

    Args:
        file: the lock file.
    """
    try:
        with file.open(encoding="utf-8") as opened:  # NFS looks at the server's times when a file is opened
            known, touched = json.load(opened), os.fstat(opened.fileno()).st_mtime
        token, process = str(known.pop("token")), Process(**known)
        return Owner(process, token, 0.0 if process.is_here() else _now_there(file.parent) - touched)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):  # files of earlier versions are empty
        return None


def live_owner(file: Path) -> Owner | None:
    """Return the process that has a lock, None where nobody has, or its process is dead.

    Args:
        file: the lock file.
    """
    owner = read_owner(file)
    return owner if owner is not None and owner.is_alive() else None


@contextlib.contextmanager
def _nobody_else(file: Path) -> Iterator[None]:
    """Keep others from reading and writing a lock file meanwhile, by a file that only one process can create."""
    guard = SoftFileLock(f"{file}.guard", timeout=PATIENCE)
    try:
        guard.acquire()
    except Timeout:
        raise InUseError(
            f"Expected {guard.lock_file} to be gone within {PATIENCE:.0f} s. Received: it is still there; "
            "remove it if no process of another machine is starting there"
        ) from None
    try:
        yield
    finally:
        guard.release()


def _now_there(directory: Path) -> float:
    """Return the time by the clock that stamps files in a directory, which may be a file server's."""
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=".clock") as file:
            file.write(b"0")
            file.flush()
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # a directory that cannot be written: nobody can work in it
        return directory.stat().st_mtime


@functools.cache
def _machine() -> str:
    """Return what is the same for all processes that see each other: the boot of the system and the container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _start_of(number: int) -> str | None:
    """Return when a process began, in whatever unit the system has; None where it does not say."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        values = text.rpartition(")")[2].split()  # behind the name, which may hold anything
        return "ended" if values[0] in ("Z", "X") else values[19]  # ticks since the system started
    except (OSError, IndexError):
        pass
    try:
        command = ["ps", "-o", "lstart=", "-p", str(number)]  # macOS
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None
