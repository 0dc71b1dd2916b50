"""Errors of a full disk, recognised whichever library raises them and reported in one message."""

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

ERROR_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
# Texts by which HDF5, SQLite, TensorFlow and others report a full disk without an error number.
ERROR_TEXTS = (
    *(os.strerror(number) for number in ERROR_NUMBERS),
    f"errno = {errno.ENOSPC},",
    "database or disk is full",
)


class DiskFullError(HeadstartError):
    """The disk is full; the message says how to continue once there is space."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether a full disk caused an error, directly or through its chain of causes.

    A file that fails while it is closed raises further errors after the first one.
    """
    return any(
        getattr(link, "errno", None) in ERROR_NUMBERS or any(text in str(link) for text in ERROR_TEXTS)
        for link in _error_chain(error)
    )


@contextlib.contextmanager
def full_disk_errors_name(path: Path) -> Iterator[None]:
    """Convert errors of a full disk within this context to an OSError with the path.

    Args:
        path: the file or directory that is written.
    """
    try:
        yield
    except Exception as error:
        if not is_disk_full(error) or _file_written(error) is not None:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def disk_full_error(error: BaseException, next_step: str) -> DiskFullError:
    """Return the message about a full disk: which disk it is and how to continue.

    Args:
        error: an error for which `is_disk_full` is true.
        next_step: what to do once there is space.
    """
    file = _file_written(error)
    directory = _fullest_directory() if file is None else nearest_existing(Path(file).parent)
    while_writing = f" while writing {Path(file).name}" if file else ""
    return DiskFullError(
        f"The disk of {directory} is full ({os.strerror(errno.ENOSPC)}{while_writing}). Completed files are intact. "
        f"Free some space, then {next_step}"
    )


def nearest_existing(path: Path) -> Path:
    """Return a directory or, if it does not exist, its closest existing parent.

    Args:
        path: absolute.
    """
    return next(directory for directory in (path, *path.parents) if directory.is_dir())


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its direct and indirect causes and contexts, each once."""
    seen: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is not None and link not in seen:
            seen.append(link)
            yield link
            pending += [link.__context__, link.__cause__]


def _file_written(error: BaseException) -> str | None:
    """Return the file that was being written, or None if the error does not name it."""
    names = (link.filename for link in _error_chain(error) if isinstance(link, OSError) and link.errno in ERROR_NUMBERS)
    return next((os.fsdecode(name) for name in names if isinstance(name, str | bytes)), None)


def _fullest_directory() -> Path:
    """Return which of the directories that headstart and its libraries write to has the least free space."""
    directories = (outputs_directory(), cache_directory(), Path(tempfile.gettempdir()))
    existing = (nearest_existing(directory) for directory in directories)
    return min(existing, key=lambda directory: shutil.disk_usage(directory).free)
