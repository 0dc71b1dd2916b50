"""Where images come from: the sources by name, and the checks that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headstart.config import DatasetConfig
from headstart.data.csv_source import index_csv
from headstart.data.digits import index_digits
from headstart.data.folder import index_folder
from headstart.data.index import ImageIndex
from headstart.data.splitting import training_fraction
from headstart.errors import HeadstartError, expect_one_of


def load_index(config: DatasetConfig, cache_directory: Path) -> ImageIndex:
    """Return the images of a dataset with their labels and splits; no image is read yet.

    Args:
        config: the dataset's configuration.
        cache_directory: where a source may keep files that can be made again.

    Raises:
        HeadstartError: when a value is out of range, when there are no images, fewer than two classes, or a class
            without an image to train on or to validate on.
    """
    expect_one_of("dataset.source", config.source, list(SOURCES))
    index = SOURCES[config.source](config, cache_directory)
    index.expect_every_class()
    return training_fraction(index, config.fraction, config.split.seed)


def _load_folder(config: DatasetConfig, cache_directory: Path) -> ImageIndex:
    return index_folder(_expect_directory(config.root), config.split)


def _load_csv(config: DatasetConfig, cache_directory: Path) -> ImageIndex:
    if config.csv is None:
        raise HeadstartError("Expected dataset.csv to be a file with the columns path,label. Received: nothing")
    table = Path(config.csv).expanduser().absolute()
    root = table.parent if config.root is None else _expect_directory(config.root)
    return index_csv(table, root, config.split)


SOURCES: dict[str, Callable[[DatasetConfig, Path], ImageIndex]] = {
    "digits": index_digits,
    "folder": _load_folder,
    "csv": _load_csv,
}


def _expect_directory(root: str | None) -> Path:
    """Return the root as an absolute path, `~` being the home directory."""
    if root is None:
        raise HeadstartError("Expected dataset.root to be the directory of the images. Received: nothing")
    directory = Path(root).expanduser().absolute()
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        raise HeadstartError(f"Expected dataset.root to be the directory of the images. Received: {directory} ({what})")
    return directory
