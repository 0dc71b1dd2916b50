"""How far an image is from the training images, in what the classifier's head reads of it (`model/head_input.py`).

The distance is the cosine distance to the nearest training image: Y. Sun, Y. Ming, X. Zhu, Y. Li, "Out-of-distribution
detection with deep nearest neighbors", ICML 2022, with k = 1. Lengths are left out: a network gives many unfamiliar
images shorter features, which a distance between points takes for ordinary ones (docs/serving.md has what was
measured). Distances are in units of the limit: images beyond 1 look unlike the training images.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.core.files import atomic_file

if TYPE_CHECKING:
    import keras

FAMILIARITY = "familiarity.npz"
VERSION = 1
LARGEST = 1_000_000_000  # bytes; ten thousand images of a network of 10,000 features take 200 million


@dataclass(frozen=True)
class Familiarity:
    """What training images look like to a classifier's head, and how far from all of them is too far."""

    training: np.ndarray  # what the head reads of training images, each of length 1 or 0, float16 (images, features)
    limit: float = 1.0  # cosine distance beyond which an image is unfamiliar, above 0

    @cached_property
    def _directions(self) -> np.ndarray:
        """The directions of the training images, which every batch needs."""
        return directions_of(self.training.astype(np.float64))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return how far images are from the nearest training image, in units of the limit, float64 (n,).

        Args:
            features: what the head reads, float (n, features).
        """
        # In float64, because near images have cosines near 1. Scaled again: in float16 their lengths are only about 1.
        cosines = directions_of(features.astype(np.float64)) @ self._directions.T
        return (1 - cosines.max(axis=1)) / self.limit


def directions_of(features: np.ndarray) -> np.ndarray:
    """Return features scaled to length 1, (n, features) of the same type; those of length 0 stay so.

    Args:
        features: float32 or float64 (n, features).
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def expect_fitting(familiarity: Familiarity, outputs: list[keras.KerasTensor]) -> None:
    """Raise unless training images were seen by the network that has these outputs.

    Args:
        familiarity: of a classifier.
        outputs: of the classifier with what its head reads.

    Raises:
        ValueError: when the numbers of features differ.
    """
    features, found = familiarity.training.shape[1], [int(output.shape[-1]) for output in outputs[1:]]
    if found != [features]:
        raise ValueError(f"{FAMILIARITY} holds {features} features of each image, and the head reads {found}")


def write_familiarity(directory: Path, familiarity: Familiarity) -> None:
    """Write familiarity.npz.

    Args:
        directory: of the classifier.
        familiarity: of the classifier.
    """
    with atomic_file(directory / FAMILIARITY) as file:
        np.savez(file, version=np.int64(VERSION), training=familiarity.training, limit=np.float64(familiarity.limit))


def read_familiarity(directory: Path) -> Familiarity | None:
    """Return what a classifier knows of its training images; None if it was saved without.

    Args:
        directory: of the classifier.

    Raises:
        ValueError, HeadstartError: when the file holds anything else, or a newer version of headstart wrote it.
        OSError, zipfile.BadZipFile: when it cannot be read.
    """
    if not (directory / FAMILIARITY).is_file():
        return None
    stored = io.BytesIO((directory / FAMILIARITY).read_bytes())  # NumPy leaves a damaged file open
    with zipfile.ZipFile(stored) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST:
            raise ValueError(f"{FAMILIARITY} holds more than {LARGEST:,} bytes")
    with np.load(stored, allow_pickle=False) as saved:
        missing = [name for name in ("version", "training", "limit") if name not in saved]
        if missing:
            raise ValueError(f"{FAMILIARITY} does not hold {', '.join(missing)}")
        version, training, limit = saved["version"], saved["training"], saved["limit"]
    if version.dtype.kind == "i" and version.shape == () and version > VERSION:
        raise HeadstartError(
            f"This classifier was written by a newer headstart ({FAMILIARITY} version {version}, known up to "
            f"{VERSION}): update headstart"
        )
    numbers = all(values.dtype.kind == "f" and np.isfinite(values).all() for values in (training, limit))
    if not numbers or training.ndim != 2 or not training.size or limit.shape != () or not limit > 0:
        raise ValueError(
            f"{FAMILIARITY} holds no features of images with a limit, but {training.dtype} {training.shape} and "
            f"{limit.dtype} {limit.shape}"
        )
    return Familiarity(training, float(limit))
