"""Hard links that keep cache files readable while another process evicts them.

An open file would also survive its removal, but a data set has hundreds of cache files, and a process may open about a
thousand. So each process links the files that it reads into a directory of its own, and keeps only some of them open.
The directory is removed when the process ends; the next process removes those of killed processes.

reading/UUID       the hard links of one process
reading/UUID.lock  locked while that process lives
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import threading
from collections import OrderedDict
from multiprocessing.util import Finalize
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from headstart.core.errors import HeadstartError

MAX_OPEN_FILES = 256  # at once, of all tables together
OPEN_FILES_SHARE = 4  # at most one in so many of the files that the process may open
PIN_FOLDER = "reading"
# Guards this module's state. Reentrant, because the garbage collector may release a file at any point.
_LOCK = threading.RLock()


class OpenFiles:
    """A bounded number of open files; closes the least recently read one to open another."""

    def __init__(self) -> None:
        """Start without open files."""
        self._descriptors: OrderedDict[Path, int] = OrderedDict()

    def read(self, file: Path, view: memoryview, offset: int) -> int:
        """Read bytes from an offset into memory, and return their number.

        Args:
            file: the file; opened if it is not open.
            view: the memory to fill.
            offset: in bytes.

        Raises:
            HeadstartError: when the file is gone because the whole cache was removed.
        """
        with _LOCK:
            descriptor = self._descriptors.pop(file, None)
            if descriptor is None:
                while len(self._descriptors) >= max_open_files():
                    os.close(self._descriptors.popitem(last=False)[1])
                descriptor = _open_file(file)
            self._descriptors[file] = descriptor
            return os.preadv(descriptor, [view], offset)

    def close(self, file: Path) -> None:
        """Close a file if it is open."""
        with _LOCK:
            descriptor = self._descriptors.pop(file, None)
            if descriptor is not None:
                os.close(descriptor)


class PinDirectory:
    """The directory with the hard links of this process, below a cache."""

    def __init__(self, cache: Path) -> None:
        """Create the directory, and remove those of killed processes.

        Args:
            cache: directory of the tables.

        Raises:
            OSError: when the directory cannot be created.
        """
        remove_abandoned_pins(cache)
        self.directory = cache / PIN_FOLDER / uuid4().hex
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.directory.with_suffix(".lock"))
        self._lock.acquire(blocking=False)  # first, or another process would take the directory for an abandoned one
        self.directory.mkdir()
        self._numbers = itertools.count()
        self.links = 0
        # Unlike atexit, Finalize also runs in multiprocessing's processes, and does not run in a fork of this process.
        self.remove = Finalize(self, _remove_pin_directory, (self.directory, self._lock), exitpriority=1)

    def link(self, file: Path) -> Path:
        """Create a hard link to a file in this directory, and return it."""
        link = self.directory / str(next(self._numbers))
        os.link(file, link)
        self.links += 1
        return link


class PinnedFile:
    """A cache file that stays readable until it is released, even if another process removes it."""

    def __init__(self, file: Path, cache: Path) -> None:
        """Pin a file.

        Args:
            file: a file of the cache.
            cache: directory of the tables.

        Raises:
            FileNotFoundError: when another process has removed it.
        """
        self._cache, self._descriptor = cache, -1
        self._link: Path | None = None
        with _LOCK:
            try:
                self._link = _pin_directory_of(cache).link(file)
            except OSError:  # the disk lacks hard links or is read-only: keep the file open instead
                _remove_if_unused(cache)
                self._descriptor = os.open(file, os.O_RDONLY)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return os.stat(self._link if self._link is not None else self._descriptor).st_size

    def read(self, view: memoryview, offset: int) -> int:
        """Read bytes from an offset into memory, and return their number."""
        if self._link is not None:
            return _open_files.read(self._link, view, offset)
        return os.preadv(self._descriptor, [view], offset)

    def release(self) -> None:
        """Release the file, so that its space is freed if it was removed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._link is not None:
            with _LOCK:
                link, self._link = self._link, None
                _open_files.close(link)
                with contextlib.suppress(FileNotFoundError):  # the process ends, or the whole cache was removed
                    link.unlink()
                if self._cache in _pin_directories:
                    _pin_directories[self._cache].links -= 1
                    _remove_if_unused(self._cache)


def max_open_files() -> int:
    """Return how many cache files may be open at once."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        MAX_OPEN_FILES
        if allowed == resource.RLIM_INFINITY
        else max(1, min(MAX_OPEN_FILES, allowed // OPEN_FILES_SHARE))
    )


def remove_abandoned_pins(cache: Path) -> None:
    """Remove the hard links of killed processes, which keep removed files on the disk.

    Args:
        cache: directory of the tables.
    """
    for directory in (cache / PIN_FOLDER).glob("*/"):
        lock = FileLock(directory.with_suffix(".lock"))
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            _remove_pin_directory(directory, lock)


_open_files = OpenFiles()
_pin_directories: dict[Path, PinDirectory] = {}  # by the cache


def _open_file(file: Path) -> int:
    try:
        return os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        raise HeadstartError(
            f"The cache was removed while this run was reading it: {file} is gone",
            "run the same command again; headstart cache prune frees space without disturbing runs",
        ) from None


def _pin_directory_of(cache: Path) -> PinDirectory:
    if cache not in _pin_directories:
        _pin_directories[cache] = PinDirectory(cache)
    return _pin_directories[cache]


def _remove_if_unused(cache: Path) -> None:
    """Remove this process's directory once it holds no more links."""
    if cache in _pin_directories and not _pin_directories[cache].links:
        _pin_directories.pop(cache).remove()


def _remove_pin_directory(directory: Path, lock: FileLock) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other processes have links
        directory.parent.rmdir()
