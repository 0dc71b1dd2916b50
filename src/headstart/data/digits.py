"""The dataset that needs no download: scikit-learn's 1,797 real handwritten digits, as image files."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from PIL import Image

from headstart.config import DatasetConfig
from headstart.data.folder import index_folder
from headstart.data.index import ImageIndex


def index_digits(config: DatasetConfig, cache_directory: Path) -> ImageIndex:
    """Return the digits as an index; on the first call they are written below the cache directory.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49;
    8 x 8 pixels, 17 levels of grey.
    """
    return index_folder(materialise_digits(cache_directory / "datasets" / "digits"), config.split)


def materialise_digits(directory: Path) -> Path:
    """Write the digits as <class>/<number>.png, unless they are there, and return the directory.

    Whole or not at all: the files are written beside the directory, which then gets its name in one step. Of two
    processes that do so at the same time, the slower one throws its files away.
    """
    if directory.is_dir():
        return directory
    from sklearn.datasets import load_digits

    digits = load_digits()
    temporary = directory.with_name(f".{directory.name}-{uuid4().hex}")
    try:
        for label in range(10):
            (temporary / str(label)).mkdir(parents=True)
        for number, (levels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            grey = (levels * 255 / 16).round().astype("uint8")
            # Stored, not compressed: the same bytes, and so the same fingerprint, with every build of zlib.
            Image.fromarray(grey).save(temporary / str(label) / f"{number:04}.png", compress_level=0)
        try:
            temporary.rename(directory)
        except OSError:
            if not directory.is_dir():  # anything but another process that was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory
