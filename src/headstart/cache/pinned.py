"""Files of the cache that this process reads: kept by links of its own, read through a bounded number of open files.

Whoever reads a file keeps it, even where another process removes it to make room. An open file would do, but a data set
has hundreds of them, and a process may open about a thousand. So each file gets a second name (a hard link) in a
directory of this process, and is opened when it is read. The directory goes with the process; that of a process that
was killed is removed by the next one.

reading/UUID       the links
reading/UUID.lock  locked as long as the process lives
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

MOST_OPEN = 256  # files at once, of all tables together
SHARE_OPEN = 4  # of the files that the process may open, one in so many at most
READING = "reading"
# One for all that is below. Reentrant, because the garbage collector may release what is held anywhere.
_LOCK = threading.RLock()


class OpenFiles:
    """The files that are open, a bounded number of them; the one that was not read for longest is closed first."""

    def __init__(self) -> None:
        """Start with none."""
        self._descriptors: OrderedDict[Path, int] = OrderedDict()

    def read(self, file: Path, view: memoryview, offset: int) -> int:
        """Fill memory with the bytes from an offset on, and return how many there were.

        Args:
            file: opened when it is not open.
            view: of bytes.
            offset: in bytes.

        Raises:
            HeadstartError: when somebody has removed the whole cache.
        """
        with _LOCK:
            descriptor = self._descriptors.pop(file, None)
            if descriptor is None:
                while len(self._descriptors) >= most_open():
                    os.close(self._descriptors.popitem(last=False)[1])
                descriptor = _open(file)
            self._descriptors[file] = descriptor
            return os.preadv(descriptor, [view], offset)

    def close(self, file: Path) -> None:
        """Close a file where it is open."""
        with _LOCK:
            descriptor = self._descriptors.pop(file, None)
            if descriptor is not None:
                os.close(descriptor)


class PinDirectory:
    """The directory of this process below a cache, and the links in it."""

    def __init__(self, cache: Path) -> None:
        """Make it, and remove those of processes that were killed.

        Args:
            cache: directory of the tables.

        Raises:
            OSError: where it cannot be made.
        """
        remove_abandoned(cache)
        self.directory = cache / READING / uuid4().hex
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.directory.with_suffix(".lock"))
        self._lock.acquire(blocking=False)  # before there is a directory that could be taken for an abandoned one
        self.directory.mkdir()
        self._numbers = itertools.count()
        self.links = 0
        # Unlike atexit it is called in the processes of multiprocessing too, and not in a fork of this one.
        self.remove = Finalize(self, _remove_place, (self.directory, self._lock), exitpriority=1)

    def link(self, file: Path) -> Path:
        """Give a file another name here, and return it."""
        held = self.directory / str(next(self._numbers))
        os.link(file, held)
        self.links += 1
        return held


class PinnedFile:
    """A file that can be read until it is released, whoever removes it."""

    def __init__(self, file: Path, cache: Path) -> None:
        """Hold a file.

        Args:
            file: of the cache.
            cache: directory of the tables.

        Raises:
            FileNotFoundError: when another process has removed it.
        """
        self._cache, self._descriptor = cache, -1
        self._link: Path | None = None
        with _LOCK:
            try:
                self._link = _place(cache).link(file)
            except OSError:  # a disk without hard links, or that cannot be written: it stays open
                _leave(cache)
                self._descriptor = os.open(file, os.O_RDONLY)

    @property
    def size(self) -> int:
        """Bytes."""
        return os.stat(self._link if self._link is not None else self._descriptor).st_size

    def read(self, view: memoryview, offset: int) -> int:
        """Fill memory with the bytes from an offset on, and return how many there were."""
        if self._link is not None:
            return _OPEN.read(self._link, view, offset)
        return os.preadv(self._descriptor, [view], offset)

    def release(self) -> None:
        """Let the file go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._link is not None:
            with _LOCK:
                link, self._link = self._link, None
                _OPEN.close(link)
                with contextlib.suppress(FileNotFoundError):  # the process ends, or somebody removed the whole cache
                    link.unlink()
                if self._cache in _PLACES:
                    _PLACES[self._cache].links -= 1
                    _leave(self._cache)


def most_open() -> int:
    """Return how many files may be open at once."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_OPEN if allowed == resource.RLIM_INFINITY else max(1, min(MOST_OPEN, allowed // SHARE_OPEN))


def remove_abandoned(cache: Path) -> None:
    """Remove the links of processes that were killed, which would keep what was removed on the disk.

    Args:
        cache: directory of the tables.
    """
    for directory in (cache / READING).glob("*/"):
        lock = FileLock(directory.with_suffix(".lock"))
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            _remove_place(directory, lock)


_OPEN = OpenFiles()
_PLACES: dict[Path, PinDirectory] = {}  # by the cache


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        raise HeadstartError(
            f"Expected the cache to stay where a run reads it. Received: {file} is gone; run the same command again, "
            "and make room with `headstart cache prune`"
        ) from None


def _place(cache: Path) -> PinDirectory:
    if cache not in _PLACES:
        _PLACES[cache] = PinDirectory(cache)
    return _PLACES[cache]


def _leave(cache: Path) -> None:
    """Remove this process's directory where nothing is left in it."""
    if cache in _PLACES and not _PLACES[cache].links:
        _PLACES.pop(cache).remove()


def _remove_place(directory: Path, lock: FileLock) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # others have theirs there
        directory.parent.rmdir()
