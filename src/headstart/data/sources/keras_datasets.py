"""The source `keras`: collections of keras.datasets, downloaded by Keras and written to image files once."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from headstart.core.console import track
from headstart.core.errors import HeadstartError, expect_one_of
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.sources.extracted import read_listing, write_listing, write_once
from headstart.data.sources.listing import ImageRow, Listing

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Collection:
    """A module of keras.datasets.

    Args:
        size: of the download.
        files: below Keras's own directory; Keras downloads them unless they exist, so a user can put them there.
        class_names: in the order of the labels, from Keras's documentation; None names the classes by number.
    """

    size: str
    files: tuple[str, ...]
    class_names: tuple[str, ...] | None = None


COLLECTIONS = {
    "mnist": Collection("11 MB", ("datasets/mnist.npz",)),
    "fashion_mnist": Collection(
        "31 MB",
        tuple(
            f"datasets/fashion-mnist/{name}-ubyte.gz"
            for name in ("train-labels-idx1", "train-images-idx3", "t10k-labels-idx1", "t10k-images-idx3")
        ),
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "cifar10": Collection(
        "170 MB",
        ("datasets/cifar-10-batches-py-target_archive",),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": Collection("169 MB", ("datasets/cifar-100-python-target_archive",)),
}


def list_keras(collection: str | None, cache_directory: Path) -> Listing:
    """Return the images of a collection in its train and test split; the first call writes them.

    Source: https://keras.io/api/datasets/

    Args:
        collection: one of `COLLECTIONS`.
        cache_directory: directory for the images.

    Raises:
        HeadstartError: when there is no such collection or its download fails.
    """
    if collection is None:
        raise HeadstartError(
            f"Expected dataset.collection to be one of {', '.join(COLLECTIONS)}. Received: nothing, "
            "with dataset.source=keras"
        )
    expect_one_of("dataset.collection", collection, list(COLLECTIONS))

    def write(directory: Path) -> None:
        arrays = _download(collection)
        rows = _write_images(directory, arrays, COLLECTIONS[collection].class_names)
        images = sum(len(labels) for _, labels in arrays.values())
        write_listing(directory, track(rows, images, f"Writing the images of {collection}"))

    return read_listing(write_once(cache_directory / "datasets" / "keras" / collection, write))


def _download(collection: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images uint8 (n, height, width[, 3]) and labels (n,) or (n, 1) of each split."""
    import_tensorflow()
    try:
        train, test = importlib.import_module(f"keras.datasets.{collection}").load_data()
    except Exception as error:
        # Keras raises a plain Exception in place of a connection error, and ValueError for a wrong checksum.
        if not isinstance(error, OSError | ValueError) and not isinstance(error.__context__, OSError):
            raise
        home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
        entry = COLLECTIONS[collection]
        files = ", ".join(str(home / file) for file in entry.files)
        raise HeadstartError(
            f"Expected keras.datasets to load {collection} ({entry.size}). Received: {error}",
            "without a connection, "
            f"run keras.datasets.{collection}.load_data() on another machine and copy these files from there: {files}",
        ) from error
    return {"train": train, "test": test}


def _write_images(
    directory: Path, arrays: dict[str, tuple[np.ndarray, np.ndarray]], class_names: tuple[str, ...] | None
) -> Iterator[ImageRow]:
    """Write <split>/<label>/<number>.png for each image, and yield its row."""
    for split, (images, labels) in arrays.items():
        for number, (image, label) in enumerate(zip(images, labels.reshape(-1).tolist(), strict=True)):
            file = directory / split / str(label) / f"{number:05}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            # Without compression, the bytes and so the fingerprint are the same with every build of zlib.
            Image.fromarray(image).save(file, compress_level=0)
            path = file.relative_to(directory).as_posix()
            yield ImageRow(path, class_names[label] if class_names else str(label), split)
