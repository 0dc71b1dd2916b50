"""How a field of the schema says what its key means, what it takes and what it decides.

Everything that has to know which keys matter derives it from these declarations, see `headstart.config.keys`: the
digest of a run, the strategies of a comparison, what may differ when a run is reproduced or resumed, the name of a
sweep, the estimates of a plan, the checks of values, `--help` and the reference of all keys.
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
    """What a key decides. Keys of a group decide what the group does, unless they say something else."""

    RESULT = "the figures of a run"
    DATA = "the images, their labels, splits and pixels"
    REPLICATE = "which repetition of the same experiment a run is"
    NAME = "what an option is called; its values decide the figures"
    LOCATION = "where something is; what is there is known by its content"
    COMMAND = "what this command does with its runs, not what they are"
    NOTHING = "how the work is done: how fast, what is reported, how often it is saved; the figures agree"


FIGURES = (Decides.RESULT, Decides.DATA, Decides.REPLICATE)  # equal values give the same figures on the same images


class Declared(TypedDict, total=False):
    """What any field may say of its key beside what it means and takes."""

    decides: Decides  # instead of what its group does
    formerly: str  # the key's name in earlier versions
    former_values: dict[str, str]  # names that values had in earlier versions, by the value
    of_command: bool  # whether a run that is reproduced takes it from its own command, given or not


class Bounds(Declared, total=False):
    """What the field of a number may say; `above` and `below` are themselves excluded."""

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
        default: of the field.
        meaning: of the key, in one line.
        declared: see `Declared`.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, **declared})


def choice(default: str | None, *others: str, meaning: str, **declared: Unpack[Declared]) -> Any:
    """Return a field that takes one of the given words.

    Args:
        default: one of the words.
        others: the other words.
        meaning: of the key, in one line.
        declared: see `Declared`.
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, "choices": (default, *others), **declared})


def number(default: Any, meaning: str, unit: str, **declared: Unpack[Bounds]) -> Any:
    """Return a field that takes a number within bounds.

    Args:
        default: of the field.
        meaning: of the key, in one line.
        unit: of the number; `""` for one that counts or measures nothing, such as a seed.
        declared: bounds and what else there is to say, see `Bounds`.
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
    """Return a field that takes a path, which is made absolute before the working directory can change.

    Args:
        meaning: of the key, in one line.
        decides: instead of what its group does.
        default: of the field.
        make_absolute: returns the absolute path for a value and the directory that it is relative to; a value that is
            no path is returned as it is.
    """
    declared = {} if decides is None else {"decides": decides}
    metadata = {"meaning": meaning, "make_absolute": make_absolute, **declared}
    return dataclasses.field(default=default, metadata=metadata)


def names(meaning: str) -> Any:
    """Return a field that takes a list of names, null by default.

    The type of such a field is Any: OmegaConf would turn into text what YAML has made of `no` and `001`.

    Args:
        meaning: of the key, in one line.
    """
    return dataclasses.field(default=None, metadata={"meaning": meaning, "names": True})


def name_or(*words: Any, meaning: str) -> Any:
    """Return a field that takes one name, null by default.

    Args:
        words: what it takes too.
        meaning: of the key, in one line.
    """
    return dataclasses.field(default=None, metadata={"meaning": meaning, "name_or": words})


def count_or(word: str, meaning: str, unit: str) -> Any:
    """Return a field that takes a word, which is the default, or a whole number of at least 1.

    Args:
        word: the word.
        meaning: of the key, in one line.
        unit: of the number.
    """
    return dataclasses.field(default=word, metadata={"meaning": meaning, "count_or": word, "unit": unit})


def range_or(*words: str, meaning: str, unit: str) -> Any:
    """Return a field that takes one of some words, the first by default, or two numbers.

    Args:
        words: the words.
        meaning: of the key, in one line.
        unit: of the numbers.
    """
    return dataclasses.field(default=words[0], metadata={"meaning": meaning, "range_or": words, "unit": unit})


def parsed(meaning: str, takes: str, write: Callable[[Any], Any]) -> Any:
    """Return a required field whose value is an object in a resolved configuration, and plain in YAML.

    Args:
        meaning: of the key, in one line.
        takes: what may be written in YAML, for the reference.
        write: returns what is written for an object.
    """
    return dataclasses.field(default=REQUIRED, metadata={"meaning": meaning, "takes": takes, "write": write})


def group(schema: Any, decides: Decides) -> Any:
    """Return a field that holds a group of keys, or a collection of groups; the docstring of the group is its meaning.

    Args:
        schema: dataclass of the group; `list` or `dict` for an empty collection.
        decides: what the keys of the group decide that do not say something else.
    """
    return dataclasses.field(default_factory=schema, metadata={"decides": decides})
