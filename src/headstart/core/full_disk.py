"""A disk that fills up though there was room before: known by whatever is raised, and said in one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.paths import cache_directory, outputs_directory

NUMBERS = (errno.ENOSPC, errno.EDQUOT)
# What HDF5, SQLite, TensorFlow and others say where they hand no number on.
WORDS = (*(os.strerror(number) for number in NUMBERS), f"errno = {errno.ENOSPC},", "database or disk is full")


class DiskFullError(HeadstartError):
    """The disk is full, which says how to go on when there is room."""


def is_full(error: BaseException) -> bool:
    """Return whether a full disk is what an error comes from: a closing file raises others after the first one.

    Args:
        error: anything, with its causes.
    """
    return any(
        getattr(one, "errno", None) in NUMBERS or any(words in str(one) for words in WORDS) for one in _chain(error)
    )


@contextlib.contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raise what comes from a full disk as an OSError that names what was being written.

    Args:
        path: a file or a directory.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error) or _file(error) is not None:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def explain(error: BaseException, go_on: str) -> DiskFullError:
    """Return the sentence about a full disk: which one it is and how to go on.

    Args:
        error: one that `is_full`.
        go_on: what to do when there is room.
    """
    file = _file(error)
    while_writing = f" while {Path(file).name} was written" if file else ""
    return DiskFullError(
        f"Expected free space on the disk of {_fullest() if file is None else nearest_existing(Path(file).parent)}. "
        f"Received: {os.strerror(errno.ENOSPC)}{while_writing}; every file that was complete still is. "
        f"Free some, then {go_on}"
    )


def nearest_existing(path: Path) -> Path:
    """Return a directory, or the closest one above that is there.

    Args:
        path: absolute.
    """
    return next(place for place in (path, *path.parents) if place.is_dir())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from or after, each once."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            yield one
            waiting += [one.__context__, one.__cause__]


def _file(error: BaseException) -> str | None:
    """Return the file that was being written, where that is known."""
    named = (one.filename for one in _chain(error) if isinstance(one, OSError) and one.errno in NUMBERS)
    return next((os.fsdecode(name) for name in named if isinstance(name, str | bytes)), None)


def _fullest() -> Path:
    """Return the directory that headstart and its libraries write to with the least free space."""
    places = (outputs_directory(), cache_directory(), Path(tempfile.gettempdir()))
    return min((nearest_existing(place) for place in places), key=lambda place: shutil.disk_usage(place).free)
