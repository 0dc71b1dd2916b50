"""Unlabelled images, which a pretrained network classifies without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import IMAGE_EXTENSIONS, count_suffixes, describe_unsupported
from headstart.data.files.ignored import IgnoredFiles
from headstart.data.files.walk import files_below, is_image
from headstart.data.index import ImageIndex, natural_key

UNLABELLED = "unlabelled"


def index_unlabelled(root: Path) -> ImageIndex:
    """Return the images in a directory and below it, all in the split `test` and of the class `unlabelled`.

    Args:
        root: an existing directory.

    Raises:
        HeadstartError: when there are no images.
    """
    ignored = IgnoredFiles()
    files = set(files_below(root, ignored))
    images = {file for file in files if is_image(file.name)}
    others = describe_unsupported(count_suffixes(files - images))
    paths = sorted((file.relative_to(root).as_posix() for file in images), key=natural_key)
    if not paths:
        raise HeadstartError(f"Expected images ({' '.join(IMAGE_EXTENSIONS)}) in {root}. Received: none. {others}")
    labels = np.zeros(len(paths), dtype=np.int32)
    splits = np.full(len(paths), "test", dtype="<U10")
    notes = (*([others] if others else []), *ignored.notes())
    return ImageIndex(root, (UNLABELLED,), tuple(paths), labels, splits, notes=notes)
