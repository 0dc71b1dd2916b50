"""Checks every image before training, so that a damaged file is reported now and not in the third epoch."""

from __future__ import annotations

import errno
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.core.console import track
from headstart.core.errors import HeadstartError, expect_one_of, printable
from headstart.data.files.check_cache import FileCheck, FileCheckCache
from headstart.data.files.images import NoMemoryError, UnreadableImageError, verify_image
from headstart.data.files.limits import Limits, file_bytes
from headstart.data.files.value_range import choose_value_range
from headstart.data.index import ImageIndex, first_few

BAD_IMAGES = ("fail", "skip")
FILES_AT_ONCE = 4096  # in the queue of the threads; bounds memory for datasets of any size
# Errors of the system and not of a file: too many open files, or not enough memory. Skipping a file because of them
# would change the dataset from run to run.
SYSTEM_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass
class DataReport:
    """Problems of a dataset that do not prevent training.

    Args:
        notes: the source's notes, one sentence each.
        unreadable: (path, reason) of the files that were left out.
        duplicates: paths of identical files in different splits, one list per content.
        conflicts: paths of identical files with different labels, one list per content.
        has_test: whether there is a test split.
        absent_from_test: classes without a test image, when there is a test split.
    """

    notes: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[list[str]] = field(default_factory=list)
    conflicts: list[list[str]] = field(default_factory=list)
    has_test: bool = True
    absent_from_test: list[str] = field(default_factory=list)

    def warnings(self) -> list[str]:
        """Return the problems as sentences."""
        sentences = list(self.notes)
        if self.unreadable:
            files = first_few([f"{path} ({reason})" for path, reason in self.unreadable])
            sentences.append(f"Files that cannot be read as images were left out ({len(self.unreadable)}): {files}")
        if self.duplicates:
            example = " and ".join(self.duplicates[0][:2])
            sentences.append(
                f"Identical images are in more than one split ({len(self.duplicates)}, for example {example}), "
                "so scores are inflated by leakage"
            )
        if self.conflicts:
            example = " and ".join(self.conflicts[0][:2])
            sentences.append(f"Identical images have different labels ({len(self.conflicts)}, for example {example})")
        if not self.has_test:
            sentences.append("There is no test split, so only validation images are evaluated")
        if self.absent_from_test:
            names = first_few(self.absent_from_test)
            sentences.append(f"Classes without a test image are not tested ({len(self.absent_from_test)}): {names}")
        return [printable(sentence) for sentence in sentences]

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON, including the sentences."""
        return asdict(self) | {"warnings": self.warnings()}


def check_images(
    index: ImageIndex, bad_images: str, cache_directory: Path, value_range: str | Sequence[float] = "auto"
) -> tuple[ImageIndex, DataReport]:
    """Check every image, and return the usable ones with their digests and range of values, and a report.

    The checks are cached until a file changes, so that the next run starts at once.

    Args:
        index: the images.
        bad_images: `fail` raises when a file cannot be read, `skip` leaves it out.
        cache_directory: directory for the cached checks.
        value_range: of files with more than 8 bits: `auto`, `full`, or the lowest and the highest value.

    Raises:
        HeadstartError: naming the unreadable files, the class without readable images, or the files whose range of
            values is ambiguous.
    """
    expect_one_of("dataset.bad_images", bad_images, BAD_IMAGES)
    cache = FileCheckCache(index.root, cache_directory / "checked", index.limits)
    try:
        checks = list(track(_file_checks(index, cache), len(index), "Checking images"))
    finally:
        cache.save()  # also after an interruption, so that files are not checked twice

    unreadable = [(path, check.problem) for path, check in zip(index.paths, checks, strict=True) if check.problem]
    if unreadable and (bad_images == "fail" or len(unreadable) == len(index)):
        files = first_few([f"{path} ({problem})" for path, problem in unreadable])
        way_out = "dataset.bad_images=skip leaves them out" if len(unreadable) < len(index) else ""
        raise HeadstartError(
            f"Expected every image in {index.root} to be readable. "
            f"Received: {len(unreadable)} of {len(index)} that are not, {files}",
            way_out,
        )
    checked = replace(index, digests=tuple(check.digest for check in checks))
    if unreadable:
        checked = checked.take([position for position, check in enumerate(checks) if not check.problem])
        if len(index.class_names) > 1:  # unlabelled images have one class
            checked.expect_every_class()
    deep = {path: check.values for path, check in zip(index.paths, checks, strict=True) if check.values}
    chosen, notes = choose_value_range(value_range, deep)
    checked = replace(checked, value_range=chosen, notes=(*checked.notes, *notes))
    return checked, _report(checked, unreadable)


def _file_checks(index: ImageIndex, cache: FileCheckCache) -> Iterator[FileCheck]:
    """Yield the check of each file in order."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(index), FILES_AT_ONCE):
            paths = index.paths[start : start + FILES_AT_ONCE]
            yield from pool.map(lambda path: _file_check(index.root, path, index.limits, cache), paths)


def _file_check(root: Path, path: str, limits: Limits, cache: FileCheckCache) -> FileCheck:
    """Return the cached check of a file, or check it."""
    file = root / path
    try:
        status = file.stat()
        cached = cache.get(path, status)
        if cached is not None:
            return cached
        with file_bytes(file, limits) as data:
            try:
                problem, values = None, verify_image(data, limits, file)
            except UnreadableImageError as error:
                problem, values = error.reason, None
            check = FileCheck(hashlib.sha256(data).hexdigest(), problem, values)
    except MemoryError as error:
        raise NoMemoryError(file) from error
    except OSError as error:
        if error.errno in SYSTEM_ERRORS:
            raise HeadstartError(
                f"The system cannot open {file} now ({error.strerror}); the file itself may be fine",
                "free some resources, for example by running fewer jobs at once, and run the same command again",
            ) from error
        # Not cached, because a new permission or a repaired disk does not change the modification time.
        return FileCheck("", error.strerror or str(error))
    except ValueError as error:  # not a regular file, or too large
        return FileCheck("", str(error))
    cache.put(path, status, check)
    return check


def _report(index: ImageIndex, unreadable: list[tuple[str, str]]) -> DataReport:
    """Report duplicates, conflicting labels and untested classes among the usable images."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(index.digests):
        same[digest].append(position)
    repeated = [positions for positions in same.values() if len(positions) > 1]

    def differing(values: list) -> list[list[str]]:
        """Return the paths of identical files with different values; the first file of each value comes first."""
        groups = []
        for positions in repeated:
            first_of_value = {values[position]: position for position in reversed(positions)}
            if len(first_of_value) > 1:
                leading = sorted(first_of_value.values())
                groups.append([index.paths[p] for p in leading + [p for p in positions if p not in leading]])
        return groups

    test = index.counts()["test"]
    return DataReport(
        notes=list(index.notes),
        unreadable=unreadable,
        duplicates=differing(index.splits.tolist()),
        conflicts=differing(index.labels.tolist()),
        has_test=bool(test.any()),
        absent_from_test=[
            name for name, count in zip(index.class_names, test, strict=True) if test.any() and count == 0
        ],
    )
