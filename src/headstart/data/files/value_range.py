"""The values that become black and white in files with more than 8 bits: one range for the whole data set.

Cameras, microscopes and scanners write 10 or 12 bits into 16-bit files, which would be nearly black if they were read
as 0 to 65535.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.data.files.formats import EXTENSIONS
from headstart.data.files.high_bit_depth import FULL_RANGE, ValueRange, Values
from headstart.data.files.images import is_high_bit_depth, verify_image
from headstart.data.files.limits import file_bytes
from headstart.data.index import first_few

DEEP_EXTENSIONS = EXTENSIONS["PNG"] + EXTENSIONS["TIFF"]
KEY = "dataset.value_range"
NEARLY_BLACK = 1 / 16  # of the range
MIN_DARK_SHARE = 0.05  # of the files; fewer nearly black files are not reported


def choose_value_range(
    setting: str | Sequence[float], measured: Mapping[str, Values]
) -> tuple[ValueRange | None, tuple[str, ...]]:
    """Return the values that become black and white, None if all files have 8 bits, and notes on that choice.

    Args:
        setting: `dataset.value_range`: auto, full, or the lowest and the highest value.
        measured: statistics of the files with more than 8 bits, by path.

    Raises:
        HeadstartError: when the range is ambiguous; reports the statistics.
    """
    if not measured:
        return None, ()
    if setting == "auto":
        return _automatic(measured)
    if setting == "full":
        _expect_within_full(measured)
        return FULL_RANGE, ()
    low, high = (float(value) for value in setting)
    outside = [path for path, values in measured.items() if values.low < low or values.high > high]
    if not outside:
        return (low, high), ()
    note = _sentence(
        f"{_describe(measured)}: those outside {KEY}=[{low:g},{high:g}] become black or white "
        f"({len(outside)} images, for example {outside[0]})"
    )
    return (low, high), (note,)


def _automatic(measured: Mapping[str, Values]) -> tuple[ValueRange, tuple[str, ...]]:
    """Return the range that covers the bits in use, and notes on it."""
    fractions = {path: values for path, values in measured.items() if values.kind == "floating-point"}
    numbers = {path: values for path, values in measured.items() if path not in fractions}
    within_one = all(values.low >= 0 and values.high <= 1 for values in fractions.values())
    if fractions and not within_one and all(values.whole for values in fractions.values()):
        numbers, fractions = dict(measured), {}
    if fractions and numbers:
        raise HeadstartError(
            f"Expected images with the same range of values. Received: {_describe(fractions)}, but "
            f"{_describe(numbers)}",
            f"convert one kind to the other, or set {KEY}=[LOW,HIGH]",
        )
    if fractions and not within_one:
        raise HeadstartError(
            f"Expected {KEY}=[LOW,HIGH] for values that are neither whole nor within 0 to 1. Received: auto, and "
            f"{_describe(fractions)}"
        )
    if min(values.low for values in measured.values()) < 0:
        negative = {path: values for path, values in numbers.items() if values.low < 0}
        raise HeadstartError(
            f"Expected {KEY}=[LOW,HIGH] for values below zero. Received: auto, and {_describe(negative)}"
        )
    highest = max(values.high for values in measured.values())
    bits = max(8, math.ceil(math.log2(highest + 1)))
    value_range = (0.0, 1.0) if fractions else (0.0, 2.0**bits - 1)
    notes = []
    if value_range != FULL_RANGE:
        as_what = "0 to 1" if fractions else f"{bits} bits"
        other = "" if fractions or highest > FULL_RANGE[1] else f"; {KEY}=full reads 0 to 65535"
        notes.append(_sentence(f"{_describe(measured)}: read as {as_what} ({KEY}=auto){other}"))
    return value_range, (*notes, *_nearly_black(measured, value_range))


def _expect_within_full(measured: Mapping[str, Values]) -> None:
    wrong = {
        path: values
        for path, values in measured.items()
        if values.low < 0 or values.high > FULL_RANGE[1] or values.kind == "floating-point"
    }
    if wrong:
        raise HeadstartError(
            f"Expected whole numbers from 0 to 65535 for {KEY}=full. Received: {_describe(wrong)}",
            f"set {KEY}=[LOW,HIGH]",
        )


def _nearly_black(measured: Mapping[str, Values], value_range: ValueRange) -> list[str]:
    """Return a sentence about images that the range leaves nearly black, as a few very bright values can cause."""
    limit = value_range[1] * NEARLY_BLACK
    dark = {path: values for path, values in measured.items() if values.bright <= limit}
    if len(dark) < max(1, MIN_DARK_SHARE * len(measured)):
        return []
    bright = max(values.bright for values in dark.values())
    return [
        f"Images that are nearly black when their values are read as 0 to {value_range[1]:g} ({len(dark)} of "
        f"{len(measured)}): 99 % of the values of each are at most {bright:g}, {first_few(list(dark), 2)}; "
        f"{KEY}=[0,HIGH] sets another range for all images"
    ]


def value_range_warnings(files: Sequence[Path], value_range: ValueRange | None) -> list[str]:
    """Return sentences about images that a classifier's range of values leaves nearly black, or clips.

    Args:
        files: the images to classify; unreadable ones are skipped.
        value_range: of the classifier; None for 0 to 65535.
    """
    low, high = value_range or FULL_RANGE
    measured: dict[str, Values] = {}
    for file in files:
        if file.suffix.lower() not in DEEP_EXTENSIONS:
            continue
        with contextlib.suppress(HeadstartError, OSError, ValueError):
            if is_high_bit_depth(file):
                with file_bytes(file) as data:
                    values = verify_image(data, name=file)
                if values is not None:
                    measured[str(file)] = values
    known = "" if value_range else ", since the classifier saw no such images when it was trained"
    beyond = {path: values for path, values in measured.items() if values.low < low or values.high > high}
    dark = {path: values for path, values in measured.items() if values.high <= low + (high - low) * NEARLY_BLACK}
    sentences = []
    if dark:
        sentences.append(
            _sentence(
                f"{_describe(dark)}, which are nearly black: {low:g} to {high:g} is read{known}; "
                "--value-range LOW HIGH reads another range"
            )
        )
    if beyond:
        sentences.append(_sentence(f"{_describe(beyond)}; those outside {low:g} to {high:g} become black or white"))
    return sentences


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _describe(measured: Mapping[str, Values]) -> str:
    """Return the kinds, the number and the range of values of files, as text."""
    kinds = sorted({values.kind for values in measured.values()})
    low, high = min(values.low for values in measured.values()), max(values.high for values in measured.values())
    example = "" if len(measured) > 20 else f", for example {next(iter(measured))}"
    return f"{' and '.join(kinds)} images ({len(measured)}{example}) use values {low:g} to {high:g}"
