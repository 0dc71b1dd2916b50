"""The source `tfds`: datasets of TensorFlow Datasets, which downloads them, written to image files once."""

from __future__ import annotations

import difflib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from headstart.core.console import track
from headstart.core.errors import HeadstartError
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.sources.extracted import read_listing, write_listing, write_once
from headstart.data.sources.listing import ImageRow, Listing
from headstart.data.sources.split_names import split_of


def list_tfds(collection: str | None, cache_directory: Path) -> Listing:
    """Return the images of a dataset in its own splits; the first call writes them.

    Source: https://www.tensorflow.org/datasets

    Args:
        collection: its name, optionally with a configuration or version: `cifar10_corrupted/fog_1`, `mnist:3.0.1`.
        cache_directory: directory for the images.

    Raises:
        HeadstartError: when TensorFlow Datasets is not installed, has no such dataset or cannot prepare it, or the
            dataset does not consist of images with a class label.
    """
    if collection is None:
        raise HeadstartError(
            "Expected dataset.collection to be a name in TensorFlow Datasets, such as oxford_flowers102. "
            "Received: nothing, with dataset.source=tfds"
        )
    name = collection.replace("/", "-").replace(":", "-")
    directory = cache_directory / "datasets" / "tfds" / name
    return read_listing(write_once(directory, lambda place: _write_images(collection, place)))


def _write_images(collection: str, directory: Path) -> None:
    """Prepare a dataset, and write <split>/<label>/<number>.jpg or .png, the table and the notes."""
    builder = _prepare(collection)
    image_key, label_key = _supervised_keys(builder, collection)
    names = builder.info.features[label_key].names
    splits = {name: split for name in builder.info.splits if (split := split_of(name))}
    if "train" not in splits.values():
        raise HeadstartError(
            f"Expected a split train in {collection} of TensorFlow Datasets. Received: {', '.join(builder.info.splits)}"
        )
    total = sum(builder.info.splits[name].num_examples for name in splits)
    examples = _read_examples(builder, splits, image_key, label_key)
    rows, unlabelled = [], 0
    for number, (split, image, label) in enumerate(track(examples, total, f"Writing the images of {collection}")):
        if label < 0:  # for example in test splits of competitions
            unlabelled += 1
            continue
        file = directory / split / str(label) / f"{number:07}{_suffix(image)}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image)
        own_split = split if len(splits) > 1 else None
        rows.append(ImageRow(file.relative_to(directory).as_posix(), names[label], own_split))
    others = [name for name in builder.info.splits if name not in splits]
    notes = [f"Splits of {collection} of other kinds were left out: {', '.join(others)}"] if others else []
    if unlabelled:
        notes.append(f"Images of {collection} without a label were left out ({unlabelled})")
    write_listing(directory, rows, notes)


def _prepare(collection: str) -> Any:
    """Download and prepare a dataset unless it is on disk, and return its builder."""
    import_tensorflow()
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        if error.name != "tensorflow_datasets":
            raise
        raise HeadstartError(
            f"Expected TensorFlow Datasets to be installed for dataset.source=tfds. Received: {error}",
            f"install it with {sys.executable} -m pip install tensorflow-datasets importlib_resources",
        ) from error
    _let_gpu_memory_grow()
    try:
        builder = tfds.builder(collection)
    except tfds.core.DatasetNotFoundError as error:
        similar = difflib.get_close_matches(collection, tfds.list_builders(), n=1)
        hint = f"; did you mean {similar[0]}?" if similar else ""
        raise HeadstartError(
            f"Expected dataset.collection to be a name in TensorFlow Datasets, which tfds.list_builders() lists. "
            f"Received: {collection}{hint}"
        ) from error
    except (ValueError, AssertionError) as error:
        raise HeadstartError(
            f"Expected dataset.collection to name an existing configuration and version. Received: {collection} "
            f"({_one_line(error)})"
        ) from error
    problems = (tfds.core.download.DownloadError, OSError, ValueError, ImportError, AssertionError)
    try:
        builder.download_and_prepare()
    except problems as error:
        raise HeadstartError(
            f"Expected TensorFlow Datasets to prepare {collection} in {builder.data_path}. "
            f"Received: {_one_line(error)}",
            "prepare it there, or copy it from another machine, and run the same command again",
        ) from error
    return builder


def _supervised_keys(builder: Any, collection: str) -> tuple[str, str]:
    """Return the names of the image feature and the class feature."""
    import numpy as np
    import tensorflow_datasets as tfds

    features = builder.info.features
    match builder.info.supervised_keys:
        case (str() as image, str() as label) if (
            isinstance(features[image], tfds.features.Image)
            and features[image].np_dtype == np.uint8
            and isinstance(features[label], tfds.features.ClassLabel)
        ):
            return image, label
    raise HeadstartError(
        f"Expected {collection} of TensorFlow Datasets to have images with a class each (supervised_keys of an 8-bit "
        f"Image and a ClassLabel). Received: {builder.info.supervised_keys} of {', '.join(features)}"
    )


def _read_examples(
    builder: Any, splits: dict[str, str], image_key: str, label_key: str
) -> Iterator[tuple[str, bytes, int]]:
    """Yield the split, the encoded image and the label of every example."""
    import tensorflow_datasets as tfds

    decoders = tfds.decode.PartialDecoding(
        {image_key: True, label_key: True}, decoders={image_key: tfds.decode.SkipDecoding()}
    )
    for name, split in splits.items():
        examples = builder.as_dataset(split=name, decoders=decoders, shuffle_files=False)
        for example in examples.as_numpy_iterator():
            yield split, example[image_key], int(example[label_key])


def _suffix(image: bytes) -> str:
    """Return the file suffix for an encoded image; empty for other content, which the file checks will report."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return {"JPEG": ".jpg"}.get(opened.format or "", f".{(opened.format or '').lower()}")
    except UnidentifiedImageError:
        return ""


def _let_gpu_memory_grow() -> None:
    """Enable memory growth before TensorFlow Datasets initializes the GPUs, after which training no longer could."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
