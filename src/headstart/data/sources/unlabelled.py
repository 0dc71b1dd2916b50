"""Pictures without labels, for a network that is used as it is: nothing is learned from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS, describe_others, endings
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.walk import files_below, is_image
from headstart.data.index import ImageIndex, natural_key

UNLABELLED = "unlabelled"


def index_unlabelled(root: Path) -> ImageIndex:
    """Return the pictures in a directory and below it, all in the split `test`, of the one class `unlabelled`.

    Args:
        root: an existing directory.

    Raises:
        HeadstartError: when there are no pictures.
    """
    litter = IgnoredFiles()
    files = set(files_below(root, litter))
    pictures = {file for file in files if is_image(file.name)}
    others = describe_others(endings(files - pictures))
    paths = sorted((file.relative_to(root).as_posix() for file in pictures), key=natural_key)
    if not paths:
        raise HeadstartError(f"Expected pictures ({' '.join(IMAGE_EXTENSIONS)}) in {root}. Received: none. {others}")
    labels = np.zeros(len(paths), dtype=np.int32)
    splits = np.full(len(paths), "test", dtype="<U10")
    notes = (*([others] if others else []), *litter.notes())
    return ImageIndex(root, (UNLABELLED,), tuple(paths), labels, splits, notes=notes)
