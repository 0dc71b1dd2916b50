"""The index of a dataset: paths, labels and splits of its images, and a fingerprint of all of them."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.core.errors import HeadstartError
from headstart.core.files import open_csv
from headstart.data.files.high_bit_depth import ValueRange
from headstart.data.files.limits import LIMITS, Limits

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """The images of a dataset by file, without their pixels.

    Args:
        root: directory that the paths are relative to.
        class_names: the classes, in natural order: 2 before 10.
        paths: file of each image, relative to the root, with forward slashes.
        labels: int32 (n,), position of each image's class in `class_names`.
        splits: str (n,), the split of each image, one of `SPLITS`.
        digests: SHA-256 of each file's content in hexadecimal; empty before `check_images`.
        notes: what the source left out or assumed, one sentence each.
        limits: the limits on image files.
        value_range: the values that become black and white in files with more than 8 bits; None without such files,
            and before `check_images`.
    """

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray
    splits: np.ndarray
    digests: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    limits: Limits = LIMITS
    value_range: ValueRange | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def split(self, name: str) -> ImageIndex:
        """Return the images of one split, in the same order."""
        return self.take(np.flatnonzero(self.splits == name))

    def take(self, positions: Sequence[int] | np.ndarray) -> ImageIndex:
        """Return the images at these positions, in this order."""
        chosen = np.asarray(positions, dtype=np.intp)
        return replace(
            self,
            paths=tuple(self.paths[position] for position in chosen),
            labels=self.labels[chosen],
            splits=self.splits[chosen],
            digests=tuple(self.digests[position] for position in chosen) if self.digests else (),
        )

    def file(self, position: int) -> Path:
        """Return the absolute path of one image."""
        return self.root / self.paths[position]

    @property
    def pixel_keys(self) -> tuple[str, ...]:
        """What decides the pixels of each image: its content, and the range of values by which it is read."""
        if self.value_range is None:
            return self.digests
        low, high = self.value_range
        return tuple(f"{digest}:{low!r}-{high!r}" for digest in self.digests)

    def counts(self) -> dict[str, np.ndarray]:
        """Return the images per class, int (classes,), for each of `SPLITS`, zeros for one without images."""
        classes = len(self.class_names)
        return {name: np.bincount(self.labels[self.splits == name], minlength=classes) for name in SPLITS}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over path, class, split and content of all images, independent of their order and of the root."""
        if len(self.digests) != len(self.paths):
            raise ValueError("Expected the digests of all images for a fingerprint. Received: none; see check_images")
        rows = sorted(zip(self.paths, self._labels_by_name(), self.splits.tolist(), self.digests, strict=True))
        return hashlib.sha256("\n".join(map(json.dumps, rows)).encode()).hexdigest()

    def write_csv(self, path: Path) -> None:
        """Write a CSV file with path,label,split,digest of each image, which the csv source can read."""
        digests = self.digests or ("",) * len(self)
        with open_csv(path) as file:
            writer = csv.writer(file)
            writer.writerow(("path", "label", "split", "digest"))
            writer.writerows(zip(self.paths, self._labels_by_name(), self.splits.tolist(), digests, strict=True))

    def expect_every_class(self) -> None:
        """Raise unless there are at least two classes, each with a training and a validation image.

        Raises:
            HeadstartError: naming the missing classes.
        """
        if len(self.class_names) < 2:
            raise HeadstartError(
                f"Expected at least two classes of images in {self.root}. Received: {', '.join(self.class_names)}",
                "add a folder with images of another class",
            )
        counts = self.counts()
        for split in ("train", "validation"):
            absent = [name for name, count in zip(self.class_names, counts[split], strict=True) if count == 0]
            if absent:
                raise HeadstartError(
                    f"Expected at least one image of every class in the {split} split of {self.root}. "
                    f"Received: none of {first_few(absent)}",
                    "add some, or name the classes to keep with dataset.classes=[A,B]",
                )

    def _labels_by_name(self) -> list[str]:
        return [self.class_names[label] for label in self.labels]


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Return a sort key that compares numbers in names as numbers, and ignores case except to break ties."""
    parts = re.split(r"(\d+)", text)
    return [int(part) if position % 2 else part.casefold() for position, part in enumerate(parts)], text


def first_few(items: Sequence[str], most: int = 5) -> str:
    """Return the first items for a message, joined by commas, and the number of further items."""
    listed = ", ".join(items[:most])
    return f"{listed} and {len(items) - most} more" if len(items) > most else listed
