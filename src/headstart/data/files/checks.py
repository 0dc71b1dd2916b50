"""Every image is read once before training, so that a damaged file has a name now and not in the third epoch."""

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
from headstart.data.files.images import NoMemoryError, UnreadableImageError, examine
from headstart.data.files.limits import Limits, file_bytes
from headstart.data.files.value_range import choose_value_range
from headstart.data.index import ImageIndex, shortened

BAD_IMAGES = ("fail", "skip")
FILES_AT_ONCE = 4096  # what waits for a thread; keeps memory flat for datasets of any size
# Of the system and not of a file: too many files are open, or there is no memory. To leave a file out for them would
# be another data set each time.
NOT_OF_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass
class DataReport:
    """What is doubtful about a dataset, though training can go on.

    Args:
        notes: what the source left out, one sentence each.
        unreadable: (path, reason) of the files that were left out.
        duplicates: paths of identical files that lie in more than one split, a list for each content.
        conflicts: paths of identical files with different labels, a list for each content.
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
        """Return what a person should know before believing the results, one sentence each."""
        sentences = list(self.notes)
        if self.unreadable:
            files = shortened([f"{path} ({reason})" for path, reason in self.unreadable])
            sentences.append(f"Files that cannot be read as images were left out ({len(self.unreadable)}): {files}")
        if self.duplicates:
            example = " and ".join(self.duplicates[0][:2])
            sentences.append(
                f"Identical images lie in more than one split ({len(self.duplicates)}, for example {example}), "
                "so the evaluation is too kind"
            )
        if self.conflicts:
            example = " and ".join(self.conflicts[0][:2])
            sentences.append(f"Identical images have different labels ({len(self.conflicts)}, for example {example})")
        if not self.has_test:
            sentences.append("There is no test split, so the only result is the one on validation images")
        if self.absent_from_test:
            names = shortened(self.absent_from_test)
            sentences.append(f"Classes without a test image are not tested ({len(self.absent_from_test)}): {names}")
        return [printable(sentence) for sentence in sentences]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON, the sentences included."""
        return asdict(self) | {"warnings": self.warnings()}


def check_images(
    index: ImageIndex, bad_images: str, cache_directory: Path, value_range: str | Sequence[float] = "auto"
) -> tuple[ImageIndex, DataReport]:
    """Read every file once, and return the images that can be used, with digests and the range of values, and a report.

    What was read is remembered in the cache directory until a file changes, so that the next run starts at once.

    Args:
        index: the images.
        bad_images: `fail` raises when a file cannot be read, `skip` leaves it out.
        cache_directory: where verdicts are remembered.
        value_range: of files of more than 8 bits: `auto`, `full`, or the lowest and the highest value.

    Raises:
        HeadstartError: naming the files that cannot be read, the class that has no image left, or the values whose
            range cannot be told.
    """
    expect_one_of("dataset.bad_images", bad_images, BAD_IMAGES)
    cache = FileCheckCache(index.root, cache_directory / "checked", index.limits)
    try:
        verdicts = list(track(_file_checks(index, cache), len(index), "Checking images"))
    finally:
        cache.save()  # also when it was interrupted: what was read need not be read again

    unreadable = [(path, found.problem) for path, found in zip(index.paths, verdicts, strict=True) if found.problem]
    if unreadable and (bad_images == "fail" or len(unreadable) == len(index)):
        files = shortened([f"{path} ({problem})" for path, problem in unreadable])
        way_out = "; dataset.bad_images=skip leaves them out" if len(unreadable) < len(index) else ""
        raise HeadstartError(
            f"Expected every image in {index.root} to be readable. "
            f"Received: {len(unreadable)} of {len(index)} that are not, {files}{way_out}"
        )
    checked = replace(index, digests=tuple(found.digest for found in verdicts))
    if unreadable:
        checked = checked.take([position for position, found in enumerate(verdicts) if not found.problem])
        if len(index.class_names) > 1:  # pictures without labels are of one
            checked.expect_every_class()
    deep = {path: found.values for path, found in zip(index.paths, verdicts, strict=True) if found.values}
    chosen, notes = choose_value_range(value_range, deep)
    checked = replace(checked, value_range=chosen, notes=(*checked.notes, *notes))
    return checked, _report(checked, unreadable)


def _file_checks(index: ImageIndex, cache: FileCheckCache) -> Iterator[FileCheck]:
    """Yield the verdict on each file in order."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(index), FILES_AT_ONCE):
            paths = index.paths[start : start + FILES_AT_ONCE]
            yield from pool.map(lambda path: _file_check(index.root, path, index.limits, cache), paths)


def _file_check(root: Path, path: str, limits: Limits, cache: FileCheckCache) -> FileCheck:
    """Return what is remembered of a file, else read it."""
    file = root / path
    try:
        status = file.stat()
        known = cache.get(path, status)
        if known is not None:
            return known
        with file_bytes(file, limits) as data:
            try:
                problem, values = None, examine(data, limits, file)
            except UnreadableImageError as error:
                problem, values = error.reason, None
            found = FileCheck(hashlib.sha256(data).hexdigest(), problem, values)
    except MemoryError as error:
        raise NoMemoryError(file) from error
    except OSError as error:
        if error.errno in NOT_OF_THE_FILE:
            raise HeadstartError(
                f"{file} could not be opened: {error.strerror}. Nothing is said about the file"
            ) from error
        # Not remembered: the file may be mended, a permission given, without a new modification time.
        return FileCheck("", error.strerror or str(error))
    except ValueError as error:  # no regular file, or too large
        return FileCheck("", str(error))
    cache.put(path, status, found)
    return found


def _report(index: ImageIndex, unreadable: list[tuple[str, str]]) -> DataReport:
    """Compare contents, splits and classes of the images that are used."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(index.digests):
        same[digest].append(position)
    repeated = [positions for positions in same.values() if len(positions) > 1]

    def differing(values: list) -> list[list[str]]:
        """Return the paths of identical files, of each value the first one first."""
        found = []
        for positions in repeated:
            first_of_value = {values[position]: position for position in reversed(positions)}
            if len(first_of_value) > 1:
                leading = sorted(first_of_value.values())
                found.append([index.paths[p] for p in leading + [p for p in positions if p not in leading]])
        return found

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
