"""Declare the fields of the schema: meaning, valid values, and what a key decides.

`headstart.config.keys` reads these declarations for the config hash, the strategies of a comparison, the keys that may
differ when a run is reproduced or resumed, sweep names, time estimates, value checks, `--help` and the reference.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, Unpack

from headstart.core.paths import absolute

REQUIRED: Any = "???"  # OmegaConf's mark for a value that must be given


class Decides(enum.Enum):
    """What a key decides; keys inherit it from their group unless they declare their own."""

    RESULT = "the results of a run"
    DATA = "the images, their labels, splits and pixels"
    REPLICATE = "the repetition of an experiment: seed or fold"
    NAME = "the name of an option, whose values decide the results"
    LOCATION = "a location, whose content identifies the data"
    COMMAND = "this command, not the runs"
    NOTHING = "speed, reports and checkpoints, not the results"


FIGURES = (Decides.RESULT, Decides.DATA, Decides.REPLICATE)  # equal values give equal results on the same images


class Declared(TypedDict, total=False):
    """Optional declarations of any field."""

    decides: Decides  # overrides the group's
    formerly: str  # the key's name in earlier versions
    former_values: dict[str, str]  # names of values in earlier versions, by current value
    of_command: bool  # a reproduction takes the value from its own command, not from the original run


class Bounds(Declared, total=False):
    """Optional declarations of a number; `above` and `below` are exclusive bounds."""

    minimum: float
    maximum: float
    above: float
    below: float


def absolute_path(value: str, base: Path) -> str:
    """Return the absolute path for a path relative to a directory; `~` is the home directory."""
    return str(absolute(value, base))


BOUNDS = {"minimum": "at least", "maximum": "at most", "above": "above", "below": "below"}


def setting(default: Any, meaning: str, **declared: Unpack[Declared]) -> Any:
    """Return a field that takes any value of its type.

    Args:
        default: default value.
        meaning: one line about the key.
        declared: see `Declared`.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, **declared})


def choice(default: str | None, *others: str, meaning: str, **declared: Unpack[Declared]) -> Any:
    """Return a field that takes one of the given words.

    Args:
        default: one of the words.
        others: the other words.
        meaning: one line about the key.
        declared: see `Declared`.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, "choices": (default, *others), **declared})


def number(default: Any, meaning: str, unit: str, **declared: Unpack[Bounds]) -> Any:
    """Return a field that takes a number within bounds.

    Args:
        default: default value.
        meaning: one line about the key.
        unit: unit of the number; `""` if it has none, like a seed.
        declared: bounds and other declarations, see `Bounds`.
    """
    bounds = {BOUNDS[name]: bound for name, bound in declared.items() if name in BOUNDS}
    more = {name: value for name, value in declared.items() if name not in BOUNDS}
    return dataclasses.field(default=default, metadata={"meaning": meaning, "unit": unit, "bounds": bounds, **more})


def path(
    meaning: str,
    decides: Decides | None = None,
    default: Any = None,
    make_absolute: Callable[[str, Path], str] = absolute_path,
) -> Any:
    """Return a field that takes a path; `resolve` makes it absolute.

    Args:
        meaning: one line about the key.
        decides: overrides the group's.
        default: default value.
        make_absolute: returns the absolute path of a value relative to a directory; returns a value that is not a path
            unchanged.
    """
    declared = {} if decides is None else {"decides": decides}
    metadata = {"meaning": meaning, "make_absolute": make_absolute, **declared}
    return dataclasses.field(default=default, metadata=metadata)


def names(meaning: str) -> Any:
    """Return a field that takes a list of names, null by default.

    Its type must be Any: with `str`, OmegaConf would silently turn `no` and `001`, which YAML has already converted,
    back into different text.

    Args:
        meaning: one line about the key.
    """
    return dataclasses.field(default=None, metadata={"meaning": meaning, "names": True})


def name_or(*words: Any, meaning: str) -> Any:
    """Return a field that takes one name, null by default.

    Args:
        words: other valid values.
        meaning: one line about the key.
    """
    return dataclasses.field(default=None, metadata={"meaning": meaning, "name_or": words})


def count_or(word: str, meaning: str, unit: str) -> Any:
    """Return a field that takes a word, which is the default, or a whole number of at least 1.

    Args:
        word: the word.
        meaning: one line about the key.
        unit: unit of the number.
    """
    return dataclasses.field(default=word, metadata={"meaning": meaning, "count_or": word, "unit": unit})


def range_or(*words: str, meaning: str, unit: str) -> Any:
    """Return a field that takes one of some words, the first by default, or two numbers.

    Args:
        words: the words.
        meaning: one line about the key.
        unit: unit of the numbers.
    """
    return dataclasses.field(default=words[0], metadata={"meaning": meaning, "range_or": words, "unit": unit})


def parsed(meaning: str, takes: str, write: Callable[[Any], Any]) -> Any:
    """Return a required field whose value is an object in a resolved configuration and plain values in YAML.

    Args:
        meaning: one line about the key.
        takes: valid YAML, for the reference.
        write: converts the object to plain values.
    """
    return dataclasses.field(default=REQUIRED, metadata={"meaning": meaning, "takes": takes, "write": write})


def group(schema: Any, decides: Decides, meaning: str | None = None) -> Any:
    """Return a field that holds a group of keys, or a collection of groups; the group's docstring is its meaning.

    Args:
        schema: dataclass of the group; `list` or `dict` for an empty collection.
        decides: default for the keys of the group.
        meaning: one line about a collection.
    """
    said = {} if meaning is None else {"meaning": meaning}
    return dataclasses.field(default_factory=schema, metadata={"decides": decides, **said})
