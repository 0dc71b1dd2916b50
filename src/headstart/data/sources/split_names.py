"""Recognizes names of splits in any spelling, alone or with a number or the dataset's name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

WORDS = {
    "train": ("train", "training", "trainval", "learn", "learning"),
    "validation": ("val", "valid", "validation", "validate", "validating", "dev", "development", "eval"),
    "test": ("test", "tests", "testing", "evaluation", "holdout", "heldout"),
}
USUAL_NAMES = ", ".join(word for words in WORDS.values() for word in words)

FILLERS = (
    "set",
    "data",
    "dataset",
    "images",
    "image",
    "imgs",
    "img",
    "pictures",
    "photos",
    "samples",
    "split",
    "folder",
)
_SPLIT_OF_WORD = {word + filler: split for split, words in WORDS.items() for word in words for filler in ("", *FILLERS)}
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")  # of camel case, and between -, _, blanks, digits


class SplitName(NamedTuple):
    """The parts of a name that contains the word for a split."""

    split: str  # train, validation or test
    around: tuple[str, ...]  # other words of the name, in lower case, without numbers
    numbered: bool  # whether the name contains a number


def split_of(name: str) -> str | None:
    """Return the split that a name means on its own, such as `Training_Set`; None for any other name."""
    read = read_name(name)
    return read.split if read and not read.around and not read.numbered else None


def read_name(name: str) -> SplitName | None:
    """Return the split in a name and the words around it; None unless the name contains exactly one split."""
    parts = _PARTS.findall(name)
    words = [part.lower() for part in parts if not part.isdigit()]
    if "".join(words) in _SPLIT_OF_WORD:  # TEST_set, hold-out
        return SplitName(_SPLIT_OF_WORD["".join(words)], (), len(words) < len(parts))
    found = [word for word in words if word in _SPLIT_OF_WORD]
    if len(found) != 1:
        return None
    around = tuple(word for word in words if word not in FILLERS and word not in found)
    return SplitName(_SPLIT_OF_WORD[found[0]], around, len(words) < len(parts))


def name_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the split of each name that means one, considering its siblings.

    A name with other words means a split only if another split has the same words: `seg_train` beside `seg_test` does,
    `train station` beside `bus stop` does not. `eval` means the test split if another name means validation and none
    means test.

    Args:
        names: of the folders in one directory.
    """
    read = {name: found for name in names if (found := read_name(name))}
    splits_around: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for found in read.values():
        splits_around[found.around].add(found.split)
    splits = {
        name: found.split for name, found in read.items() if not found.around or len(splits_around[found.around]) > 1
    }
    called_eval = [name for name in splits if "eval" in name.lower() and splits[name] == "validation"]
    others = [split for name, split in splits.items() if name not in called_eval]
    if len(called_eval) == 1 and "validation" in others and "test" not in others:
        splits[called_eval[0]] = "test"
    return splits
