"""Checks that links and paths in a dataset do not lead out of its root directory, unless the user allows it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.data.files.ignored import is_ignored
from headstart.data.index import first_few

WAY_OUT = "dataset.follow_links=true"


def expect_links_inside(root: Path, way_out: str = WAY_OUT) -> None:
    """Raise if a link in a directory or below it leads out of that directory; ignored files do not count.

    Args:
        root: an existing directory, which may itself be a link.
        way_out: the setting that allows such links, for the message.

    Raises:
        HeadstartError: naming the links, or a directory that cannot be read.
    """
    inside = os.path.realpath(root)
    leaving: list[str] = []
    waiting, seen = [str(root)], {inside}
    while waiting:
        try:
            entries = sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(error) from error
        for entry in entries:
            if is_ignored(entry.name):
                continue
            if entry.is_symlink():
                real = os.path.realpath(entry.path)
                if real != inside and not _within(real, inside):
                    leaving.append(f"{os.path.relpath(entry.path, root)} -> {os.readlink(entry.path)}")
                elif os.path.isdir(real) and real not in seen:
                    seen.add(real)
                    waiting.append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    if leaving:
        raise HeadstartError(
            f"Expected every link in {root} to stay within it. Received: {len(leaving)} that lead out, "
            f"{first_few(leaving)}",
            f"{way_out} follows them",
        )


def paths_outside(root: Path, paths: Iterable[str], follow_links: bool) -> list[str]:
    """Return the paths that lead out of a root directory.

    Args:
        root: an existing directory, which may itself be a link.
        paths: relative to the root, or absolute.
        follow_links: whether links may lead out; `..` and absolute paths never may.
    """
    absolute = os.path.abspath(root)
    inside = os.path.realpath(root)
    directories: dict[str, str] = {}  # each resolved once, because there may be a million paths
    outside = []
    for path in paths:
        lexical = os.path.normpath(os.path.join(absolute, path))
        if not _within(lexical, absolute):
            outside.append(path)
        elif not follow_links:
            file = os.path.join(absolute, path)
            directory, name = os.path.split(file)
            if directory not in directories:
                directories[directory] = os.path.realpath(directory)
            real = os.path.realpath(file) if os.path.islink(file) else os.path.join(directories[directory], name)
            if not _within(real, inside):
                outside.append(path)
    return outside


def unreadable(error: OSError) -> HeadstartError:
    """Return the error for a directory that `os.walk` or `os.scandir` cannot read."""
    return HeadstartError(
        f"Expected a directory that can be read. Received: {error.filename} ({error.strerror or error})"
    )


def _within(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip(os.sep) + os.sep)
