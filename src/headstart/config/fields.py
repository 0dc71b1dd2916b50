"""What each key of the configuration takes and what it decides, said once at its field in `headstart.config`.

Whatever asks which keys matter derives the answer from here: the digest of a run, the strategies of a comparison, what
may differ when a run is reproduced or resumed, the name of a sweep, the estimates of a plan.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import typing
from collections.abc import Collection, Iterator
from typing import Any

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


def plain(default: Any, decides: Decides) -> Any:
    """Return a field that takes any value of its type.

    Args:
        default: of the field.
        decides: instead of what its group does.
    """
    return dataclasses.field(default=default, metadata={"decides": decides})


def choice(default: str | None, *others: str, decides: Decides | None = None) -> Any:
    """Return a field that takes one of the given words.

    Args:
        default: one of the words.
        others: the other words.
        decides: instead of what its group does.
    """
    return dataclasses.field(default=default, metadata={"choices": (default, *others), **_declared(decides)})


def number(
    default: Any,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    decides: Decides | None = None,
) -> Any:
    """Return a field that takes a number within bounds; `above` and `below` are themselves excluded.

    Args:
        default: of the field.
        minimum: the smallest valid number.
        maximum: the largest valid number.
        above: all valid numbers are larger.
        below: all valid numbers are smaller.
        decides: instead of what its group does.
    """
    bounds = {"at least": minimum, "at most": maximum, "above": above, "below": below}
    given = {word: bound for word, bound in bounds.items() if bound is not None}
    return dataclasses.field(default=default, metadata={"bounds": given, **_declared(decides)})


def group(schema: Any, decides: Decides) -> Any:
    """Return a field that holds a group of keys, or a list.

    Args:
        schema: dataclass of the group; `list` for an empty list.
        decides: what the keys of the group decide that do not say something else.
    """
    return dataclasses.field(default_factory=schema, metadata={"decides": decides})


def keys_that_decide(schema: Any, prefix: str = "", inherited: Decides | None = None) -> dict[str, Decides]:
    """Return every key of a schema with what it decides, those in a list with `*` for the position.

    Args:
        schema: dataclass.
        prefix: of its keys.
        inherited: what the keys decide that say nothing.

    Raises:
        TypeError: for a key that neither says what it decides nor inherits it.
    """
    hints, found = typing.get_type_hints(schema), {}
    for item in dataclasses.fields(schema):
        key, kind = f"{prefix}{item.name}", hints[item.name]
        decides = _decides(item, key, inherited)
        member = _member(kind)
        if dataclasses.is_dataclass(kind):
            found.update(keys_that_decide(kind, f"{key}.", decides))
        elif member is not None:
            found.update(keys_that_decide(member, f"{key}.*.", decides))
        else:
            found[key] = decides
    return found


def what_decides(schema: Any, key: str) -> Decides | None:
    """Return what a key or a group of keys decides; None where the schema has no such key.

    Args:
        schema: dataclass of the whole configuration.
        key: as on the command line, such as `cache`, `cache.max_gb` or `freeze.stages.0.epochs`.
    """
    decides: Decides | None = None
    kind: Any = schema
    for name in key.split("."):
        if name.isdigit():
            continue
        known = {item.name: item for item in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
        if name not in known:
            return None
        decides = _decides(known[name], key, decides)
        kind = typing.get_type_hints(kind)[name]
        kind = _member(kind) or kind
    return decides


def deciding_values(config: Any, wanted: Collection[Decides], defaults: bool = True) -> dict[str, Any]:
    """Return the values of a configuration that decide something, by their dotted keys.

    Args:
        config: a resolved configuration.
        wanted: what they decide.
        defaults: False leaves out the values that are the defaults of the schema.
    """
    return {
        key: found
        for key, found, item, decides in _leaves(config, "", None)
        if decides in wanted and (defaults or found != _default(item))
    }


def with_given(stored: Any, asked: Any, keys: Collection[str], allowed: Collection[Decides]) -> Any:
    """Return a stored configuration with some values of another one.

    Args:
        stored: a resolved configuration.
        asked: the other one.
        keys: which values, or groups of them.
        allowed: of these only the values that decide one of these; the others stay as they are.
    """
    changed = copy.deepcopy(stored)
    for key, found, item, decides in _leaves(asked, "", None):
        if decides in allowed and any(key == given or key.startswith(f"{given}.") for given in keys):
            node = changed
            for name in key.split(".")[:-1]:
                node = getattr(node, name)
            setattr(node, item.name, found)
    return changed


def _leaves(node: Any, prefix: str, inherited: Decides | None) -> Iterator[tuple[str, Any, dataclasses.Field, Decides]]:
    """Yield key, value, field and declaration of everything that is no group."""
    for item in dataclasses.fields(node):
        key, found = f"{prefix}{item.name}", getattr(node, item.name)
        decides = _decides(item, key, inherited)
        if dataclasses.is_dataclass(found):
            yield from _leaves(found, f"{key}.", decides)
        elif isinstance(found, list) and found and all(dataclasses.is_dataclass(member) for member in found):
            for position, member in enumerate(found):
                yield from _leaves(member, f"{key}.{position}.", decides)
        else:
            yield key, found, item, decides


def _decides(item: dataclasses.Field, key: str, inherited: Decides | None) -> Decides:
    decides = item.metadata.get("decides", inherited)
    if decides is None:
        raise TypeError(f"Expected the field of {key} to say what it decides, see Decides. Received: nothing")
    return decides


def _declared(decides: Decides | None) -> dict[str, Decides]:
    return {} if decides is None else {"decides": decides}


def _default(item: dataclasses.Field) -> Any:
    return item.default if item.default_factory is dataclasses.MISSING else item.default_factory()


def _member(kind: Any) -> Any:
    """Return the dataclass that a list holds; None for anything else."""
    members = typing.get_args(kind) if typing.get_origin(kind) is list else ()
    return members[0] if members and dataclasses.is_dataclass(members[0]) else None
