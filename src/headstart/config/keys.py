"""The keys of the configuration, what each of them decides, and their values."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Collection, Iterator
from typing import Any

from headstart.config.fields import Decides


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of the schema (not a group)."""

    name: str  # dotted, `*` for the position in a list
    kind: Any  # its type
    field: dataclasses.Field
    decides: Decides


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A value of a configuration (not a group) with its key."""

    key: str  # dotted, as on the command line
    owner: Any  # the dataclass that holds it
    field: dataclasses.Field
    decides: Decides

    @property
    def value(self) -> Any:
        """The value in YAML."""
        return written(self.field, getattr(self.owner, self.field.name))

    @property
    def former_key(self) -> str:
        """The key's name in earlier versions."""
        return f"{self.key.removesuffix(self.field.name)}{self.field.metadata.get('formerly', self.field.name)}"

    @property
    def former_value(self) -> Any:
        """The value's name in earlier versions."""
        value = self.value
        return self.field.metadata.get("former_values", {}).get(value, value) if isinstance(value, str) else value

    @property
    def is_default(self) -> bool:
        """Whether the value is the schema's default."""
        item = self.field
        default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
        return bool(self.value == default)


def written(item: dataclasses.Field, value: Any) -> Any:
    """Return the value of a field for YAML.

    Args:
        item: the field.
        value: its value.
    """
    return item.metadata["write"](value) if "write" in item.metadata else value


def keys_of(schema: Any, prefix: str = "", inherited: Decides | None = None) -> Iterator[Key]:
    """Yield every key of a schema in order, with `*` for positions in lists.

    Args:
        schema: dataclass.
        prefix: prefix of its keys.
        inherited: what keys decide that declare nothing.

    Raises:
        TypeError: for a key that neither declares nor inherits what it decides.
    """
    hints = typing.get_type_hints(schema)
    for item in dataclasses.fields(schema):
        name, kind = f"{prefix}{item.name}", hints[item.name]
        decides = _decides(item, name, inherited)
        member = member_of(kind)
        if dataclasses.is_dataclass(kind):
            yield from keys_of(kind, f"{name}.", decides)
        elif member is not None and typing.get_origin(kind) is list:
            yield from keys_of(member, f"{name}.*.", decides)
        else:
            yield Key(name, kind, item, decides)


def effect_of(schema: Any, key: str) -> Decides | None:
    """Return what a key or a group of keys decides; None for an unknown key.

    Args:
        schema: dataclass of the whole configuration.
        key: as on the command line, such as `cache`, `cache.max_gb` or `freeze.stages.0.epochs`.
    """
    decides: Decides | None = None
    for item in fields_to(schema, key):
        if item is None:
            return None
        decides = _decides(item, key, decides)
    return decides


def field_of(schema: Any, key: str) -> dataclasses.Field | None:
    """Return the field of a key; None for an unknown key.

    Args:
        schema: dataclass of the whole configuration.
        key: as on the command line.
    """
    found = fields_to(schema, key)
    return found[-1] if found else None


def fields_to(schema: Any, key: str) -> list[dataclasses.Field | None]:
    """Return the fields from the outermost group to a key; None in place of the first unknown one.

    Args:
        schema: dataclass of the whole configuration.
        key: as on the command line.
    """
    found: list[dataclasses.Field | None] = []
    kind = schema
    for name in key.split("."):
        if name.isdigit():
            continue
        known = {item.name: item for item in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
        found.append(known.get(name))
        if name not in known:
            break
        kind = typing.get_type_hints(kind)[name]
        kind = member_of(kind) or kind
    return found


def values_that_decide(config: Any, wanted: Collection[Decides]) -> dict[str, Any]:
    """Return the values of a configuration that decide one of some things, by their dotted keys.

    Args:
        config: a resolved configuration.
        wanted: the things.
    """
    return {leaf.key: leaf.value for leaf in leaves_of(config) if leaf.decides in wanted}


def override_values(stored: Any, asked: Any, keys: Collection[str], allowed: Collection[Decides]) -> Any:
    """Return a stored configuration with some values replaced by those of another one.

    Args:
        stored: a resolved configuration.
        asked: the other one.
        keys: keys or groups to replace.
        allowed: replace only values that decide one of these.
    """
    changed = copy.deepcopy(stored)
    for leaf in leaves_of(asked):
        if leaf.decides in allowed and any(leaf.key == given or leaf.key.startswith(f"{given}.") for given in keys):
            node = changed
            for name in leaf.key.split(".")[:-1]:
                node = getattr(node, name)
            setattr(node, leaf.field.name, getattr(leaf.owner, leaf.field.name))
    return changed


def leaves_of(node: Any, prefix: str = "", inherited: Decides | None = None) -> Iterator[Leaf]:
    """Yield every value in a configuration.

    Args:
        node: a resolved configuration, or a group of it.
        prefix: prefix of its keys.
        inherited: what keys decide that declare nothing.

    Raises:
        TypeError: for a key that neither declares nor inherits what it decides.
    """
    for item in dataclasses.fields(node):
        key, value = f"{prefix}{item.name}", getattr(node, item.name)
        decides = _decides(item, key, inherited)
        if "write" in item.metadata:
            yield Leaf(key, node, item, decides)
        elif dataclasses.is_dataclass(value):
            yield from leaves_of(value, f"{key}.", decides)
        elif isinstance(value, list) and value and all(dataclasses.is_dataclass(member) for member in value):
            for position, member in enumerate(value):
                yield from leaves_of(member, f"{key}.{position}.", decides)
        else:
            yield Leaf(key, node, item, decides)


def member_of(kind: Any) -> Any:
    """Return the dataclass of the members of a list or dictionary type; None for any other type."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (list, dict) else ()
    return members[-1] if members and dataclasses.is_dataclass(members[-1]) else None


def _decides(item: dataclasses.Field, key: str, inherited: Decides | None) -> Decides:
    decides = item.metadata.get("decides", inherited)
    if decides is None:
        raise TypeError(f"Expected the field of {key} to declare what it decides, see Decides. Received: nothing")
    return decides
