"""Writing images into new folders: linked where the file system can, else copied or linked by name."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from headstart.core.console import track
from headstart.core.errors import expect_writable
from headstart.data.index import ImageIndex
from headstart.data.sources.extracted import write_once

SYMBOLIC = "symbolic links to the source, which has to stay where it is"


def write_folders(index: ImageIndex, places: list[str], destination: Path, copy: bool) -> str:
    """Write every image to its place, all of them or none, and return how many were linked or copied.

    Args:
        index: the images.
        places: new path of each image, relative to the destination.
        destination: the new directory.
        copy: whether to copy. Else each file gets a second name on the same disk (a hard link), which needs no space
            and stays when the first one is removed; where the file system has none, a symbolic link.

    Raises:
        HeadstartError: when a file cannot be written.
    """
    how: Counter[str] = Counter()

    def write(directory: Path) -> None:
        for position, place in enumerate(track(places, len(places), "Writing the folders")):
            file = directory / place
            file.parent.mkdir(parents=True, exist_ok=True)
            how[put(index.file(position).resolve(), file, copy)] += 1

    with expect_writable(destination, "directory", "DESTINATION"):
        write_once(destination, write)
    return ", ".join(f"{count:,} {what}" for what, count in how.items())


def put(source: Path, file: Path, copy: bool) -> str:
    """Copy or link one file, and return what was done."""
    if copy:
        shutil.copy2(source, file)
        return "files copied"
    try:
        os.link(source, file)
        return "files linked"
    except OSError:  # another disk, a file system without hard links, a file of another user
        file.symlink_to(source)
        return SYMBOLIC
