"""A lock file that names the process that uses a directory, and that this process touches as a heartbeat.

Operating system locks are not enough when machines share a disk: NFS may keep them local to each machine, and they do
not name their owner. On the owner's machine, the owner is alive if its process exists; on other machines, if the lock
file was touched recently.
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

HEARTBEAT = 15.0  # seconds between two heartbeats
MISSED_BEATS = 10  # an owner on another machine counts as dead after so many missed heartbeats
GUARD_TIMEOUT = 30.0  # seconds; reading and writing a lock file takes milliseconds


class InUseError(HeadstartError):
    """Another process uses the directory."""


@dataclass(frozen=True)
class Process:
    """A process on one of the machines that share a disk."""

    host: str  # host name, for messages
    machine: str  # the scope in which process ids are unique: a boot of a machine, in a container
    number: int  # process id
    started: str | None  # distinguishes processes that reuse a process id; None where the system does not tell

    @classmethod
    def current(cls) -> Process:
        """Return this process."""
        return cls(socket.gethostname(), _machine(), os.getpid(), _start_of(os.getpid()))

    def is_on_this_machine(self) -> bool:
        """Return whether the process runs, or ran, on this machine."""
        return self.machine == _machine()

    def has_ended(self) -> bool:
        """Return whether the process ran on this machine and has ended; always False for other machines."""
        if not self.is_on_this_machine():
            return False
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # the process exists and belongs to another user
            pass
        started = _start_of(self.number)
        return None not in (started, self.started) and started != self.started


@dataclass(frozen=True)
class Owner:
    """The process that a lock file names."""

    process: Process
    token: str  # unique to this acquisition of the lock
    seconds_silent: float  # seconds since the last heartbeat; 0 for processes of this machine

    def is_alive(self) -> bool:
        """Return whether the owner still uses the directory, as far as this machine can know."""
        if self.process.is_on_this_machine():
            return not self.process.has_ended()
        return self.seconds_silent < MISSED_BEATS * HEARTBEAT

    def __str__(self) -> str:
        beat = "" if self.process.is_on_this_machine() else f", last heartbeat {self.seconds_silent:.0f} s ago"
        return f"process {self.process.number} on {self.process.host}{beat}"


class Lock:
    """Reserves a directory for this process until `release` or the end of the process."""

    def __init__(self, file: Path, activity: str) -> None:
        """Acquire the lock.

        Args:
            file: the lock file, in the directory to reserve.
            activity: `run` or `sweep`, for the message.

        Raises:
            InUseError: when another process holds the lock.
        """
        self.file, self.token = file, uuid4().hex
        with _exclusive_access(file):
            owner = read_owner(file)
            if owner is not None and owner.is_alive():
                raise InUseError(
                    f"This {activity} is in progress ({owner}). Wait for it, or stop it. Directory: {file.parent}"
                )
            write_json(file, {"token": self.token, **dataclasses.asdict(Process.current())})
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def release(self) -> None:
        """Release the directory for other processes."""
        self._released.set()
        self._heart.join()
        # If this fails, the lock expires with this process.
        with contextlib.suppress(OSError, InUseError), _exclusive_access(self.file):
            owner = read_owner(self.file)
            if owner is not None and owner.token == self.token:
                self.file.unlink()

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT):
            with contextlib.suppress(OSError):  # a disk that fails now may work at the next heartbeat
                os.utime(self.file)  # without a time, the file server uses its own clock


def read_owner(file: Path) -> Owner | None:
    """Return the process that a lock file names, None if there is no valid lock file.

    Args:
        file: the lock file.
    """
    try:
        with file.open(encoding="utf-8") as opened:  # opening makes an NFS client fetch the server's times
            fields, touched = json.load(opened), os.fstat(opened.fileno()).st_mtime
        token, process = str(fields.pop("token")), Process(**fields)
        return Owner(process, token, 0.0 if process.is_on_this_machine() else _disk_time(file.parent) - touched)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):  # earlier versions wrote empty files
        return None


def live_owner(file: Path) -> Owner | None:
    """Return the living process that holds a lock, None if no process does.

    Args:
        file: the lock file.
    """
    owner = read_owner(file)
    return owner if owner is not None and owner.is_alive() else None


@contextlib.contextmanager
def _exclusive_access(file: Path) -> Iterator[None]:
    """Read and write a lock file without interference, guarded by a second file that only one process can create."""
    guard = SoftFileLock(f"{file}.guard", timeout=GUARD_TIMEOUT)
    try:
        guard.acquire()
    except Timeout:
        raise InUseError(
            f"{guard.lock_file} still exists after {GUARD_TIMEOUT:.0f} s. Remove it, unless another machine is just "
            "starting a run or sweep in this directory"
        ) from None
    try:
        yield
    finally:
        guard.release()


def _disk_time(directory: Path) -> float:
    """Return the current time by the clock that stamps files in a directory, which may be a file server's."""
    try:
        with tempfile.TemporaryFile(dir=directory, prefix=".clock") as file:
            file.write(b"0")
            file.flush()
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # no process can use a directory that cannot be written
        return directory.stat().st_mtime


@functools.cache
def _machine() -> str:
    """Return an identifier of the scope in which process ids are unique: the boot of the machine, and the container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _start_of(number: int) -> str | None:
    """Return when a process started, in the system's unit; None if the system does not tell."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        values = text.rpartition(")")[2].split()  # after the name, which may contain anything
        return "ended" if values[0] in ("Z", "X") else values[19]  # ticks since the system started
    except (OSError, IndexError):
        pass
    try:
        command = ["ps", "-o", "lstart=", "-p", str(number)]  # macOS
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None
