"""Loads the index of a dataset from one of the sources, and applies the checks and splits common to all sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from headstart.config import CrossValidationConfig, DatasetConfig
from headstart.core.errors import HeadstartError, expect_one_of
from headstart.core.paths import tip_for_missing
from headstart.data.classes import choose_classes
from headstart.data.cross_validation import choose_fold
from headstart.data.exclusion import exclude_images
from headstart.data.files.limits import Limits
from headstart.data.files.links import expect_links_inside
from headstart.data.index import ImageIndex
from headstart.data.similarity.grouping import group_near_duplicates
from headstart.data.sources.csv_table import list_csv
from headstart.data.sources.digits import list_digits
from headstart.data.sources.flat import list_flat
from headstart.data.sources.folder import list_folder
from headstart.data.sources.keras_datasets import list_keras
from headstart.data.sources.listing import Listing
from headstart.data.sources.split_folders import AUTO
from headstart.data.sources.tfds import list_tfds
from headstart.data.sources.unlabelled import index_unlabelled
from headstart.data.splits import build_index, curve_fraction, training_fraction

NO_FOLDS = CrossValidationConfig()


def load_index(config: DatasetConfig, cache_directory: Path, cv: CrossValidationConfig = NO_FOLDS) -> ImageIndex:
    """Return the images of a dataset with their labels and splits, without reading them.

    Args:
        config: the dataset's configuration.
        cache_directory: directory for files that a source downloads or writes.
        cv: the fold of a cross-validation that is the test split; no folds leave the splits unchanged.

    Raises:
        HeadstartError: when a value is out of range, when there are no images, fewer than two classes, or a class
            with too few images to train on and to validate on, or for a point of a learning curve; of the source
            `unlabelled`, which has no classes, only when there are no images.
    """
    expect_one_of("dataset.source", config.source, [*SOURCES, "unlabelled"])
    if config.splits != AUTO and config.source not in ("folder", "flat"):
        raise HeadstartError(
            f"Expected dataset.splits, which names folders, with dataset.source folder or flat. "
            f"Received: {config.splits} with {config.source}"
        )
    limits = Limits(config.max_pixels, config.max_file_mb)
    if _named_columns(config) and config.source != "csv":
        raise HeadstartError(
            f"Expected dataset.columns only with dataset.source=csv. Received: dataset.source={config.source}"
        )
    if config.source == "unlabelled":
        if config.classes is not None:
            raise HeadstartError(
                f"Expected no dataset.classes for images without labels. Received: {', '.join(config.classes)}"
            )
        if config.min_images is not None:
            raise HeadstartError(
                f"Expected no dataset.min_images for images without labels. Received: {config.min_images}"
            )
        return replace(index_unlabelled(_root_to_walk(config)), limits=limits)
    listing = exclude_images(SOURCES[config.source](config, cache_directory), config.exclude)
    listing = choose_classes(listing, config.classes, config.min_images)
    if config.group is not None:
        listing = group_near_duplicates(listing, limits, cache_directory, config.value_range)
    index = replace(build_index(choose_fold(listing, cv, config.split.seed), config.split), limits=limits)
    index.expect_every_class()
    if config.fraction_seed is None:
        return training_fraction(index, config.fraction, config.split.seed)
    return curve_fraction(index, config.fraction, config.fraction_seed)


def images_directory(config: DatasetConfig) -> Path | None:
    """Return the directory that the images' paths are relative to, None for sources that write the images themselves.

    Args:
        config: the dataset's configuration.
    """
    if config.root is not None:
        return Path(config.root).expanduser().absolute()
    return Path(config.csv).expanduser().absolute().parent if config.csv is not None else None


def expect_root(config: DatasetConfig) -> Path:
    """Return the root as an absolute path; `~` is the home directory.

    Args:
        config: the dataset's configuration.

    Raises:
        HeadstartError: when the root is not a directory; says where to download the images if the configuration does.
    """
    directory = images_directory(config)
    if config.root is None or directory is None:
        layout = ", with a folder of images for each class" if config.source == "folder" else ""
        raise HeadstartError(
            "Expected dataset.root to be the directory of the images. Received: nothing",
            f"add dataset.root=DIRECTORY{layout}",
        )
    if directory.is_dir():
        return directory
    problem = "is a file" if directory.exists() else "does not exist"
    tip = tip_for_missing(directory)
    if config.origin is not None:
        origin = " ".join(config.origin.split())
        tip = f"where to get them: {origin}. Then put them there, or set dataset.root=DIRECTORY"
    raise HeadstartError(
        f"Expected dataset.root to be the directory of the images. Received: {directory} ({problem})", tip
    )


def _list_csv(config: DatasetConfig) -> Listing:
    if config.csv is None:
        problem = "Expected dataset.csv to be a file with the columns path,label. Received: nothing"
        raise HeadstartError(problem, "add dataset.csv=FILE")
    table = Path(config.csv).expanduser().absolute()
    root = table.parent if config.root is None else expect_root(config)
    return list_csv(table, root, config.follow_links, _named_columns(config))


def _named_columns(config: DatasetConfig) -> dict[str, str | None]:
    """Return the configured columns of a table by role; None for a role to ignore."""
    return {role: name or None for role, name in asdict(config.columns).items() if name is not None}


def _root_to_walk(config: DatasetConfig) -> Path:
    """Return the root after checking that links below it do not lead out, unless the configuration allows it."""
    root = expect_root(config)
    if not config.follow_links:
        expect_links_inside(root)
    return root


SOURCES: dict[str, Callable[[DatasetConfig, Path], Listing]] = {
    "digits": lambda _, cache_directory: list_digits(cache_directory),
    "folder": lambda config, _: list_folder(_root_to_walk(config), config.splits),
    "csv": lambda config, _: _list_csv(config),
    "flat": lambda config, _: list_flat(_root_to_walk(config), config.label_names, config.splits),
    "keras": lambda config, cache_directory: list_keras(config.collection, cache_directory),
    "tfds": lambda config, cache_directory: list_tfds(config.collection, cache_directory),
}
