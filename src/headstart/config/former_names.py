"""Names of keys, values and options in earlier versions, which this version still accepts.

The fields of the schema declare them, see `Declared`. On the command line and in users' YAML files they print a note,
in stored runs they do not.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from headstart.config.keys import member_of
from headstart.config.schema import Config
from headstart.core.console import print_to_stderr

_noted: set[str] = set()  # names that this process has printed


@dataclasses.dataclass
class Names:
    """A direction of renaming, and the names that were replaced.

    Args:
        back: False: replace former names by current ones; True: the opposite.
    """

    back: bool = False
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)  # as on the command line: from, to

    def of_key(self, item: dataclasses.Field) -> str:
        """Return the name of a field."""
        return item.metadata.get("formerly", item.name) if self.back else item.name

    def of_values(self, item: dataclasses.Field | None) -> dict[str, str]:
        """Return the replacements of a field's values."""
        former = {} if item is None else item.metadata.get("former_values", {})
        return former if self.back else {name: current for current, name in former.items()}


def rename(node: Any, kind: Any, names: Names, key: str = "", item: dataclasses.Field | None = None) -> Any:
    """Return a part of a configuration with its names replaced.

    Args:
        node: dictionaries, lists and plain values.
        kind: its type in the schema.
        names: the direction; records the replaced names.
        key: key of the part.
        item: field of the part.
    """
    if isinstance(node, list):
        return [rename(member, member_of(kind), names, f"{key}.{position}") for position, member in enumerate(node)]
    if isinstance(node, dict) and dataclasses.is_dataclass(kind):
        return _rename_keys(node, kind, names, key)
    if isinstance(node, dict) and member_of(kind) is not None:
        return {name: rename(member, member_of(kind), names, f"{key}.{name}") for name, member in node.items()}
    values = names.of_values(item)
    if isinstance(node, str) and node in values:
        names.renamed[f"{key}={node}"] = f"{key}={values[node]}"
        return values[node]
    return node


def _rename_keys(node: dict[Any, Any], kind: Any, names: Names, key: str) -> dict[Any, Any]:
    known, hints, result = fields_by_any_name(kind), typing.get_type_hints(kind), {}
    for name, value in node.items():
        item = known.get(name)
        if item is None:
            result[name] = value
            continue
        current = names.of_key(item)
        full, now = f"{key}.{name}".strip("."), f"{key}.{current}".strip(".")
        if current != name:
            names.renamed[full] = now
            if current in node:  # given by both names
                continue
        result[current] = rename(value, hints[item.name], names, now, item)
    return result


def fields_by_any_name(kind: Any) -> dict[str, dataclasses.Field]:
    """Return the fields of a group by their current and former names."""
    items = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return {name: item for item in items for name in (item.metadata.get("formerly", item.name), item.name)}


def options_field(group: str) -> dataclasses.Field | None:
    """Return the field that holds the name of a group's chosen option; None for an unknown group."""
    kind = typing.get_type_hints(Config).get(group)
    items = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return next((item for item in items if item.name == "name"), None)


def print_renamed(names: Names) -> None:
    """Print a note about each replaced name, once per process.

    Args:
        names: the replaced names.
    """
    for former, current in names.renamed.items():
        if former not in _noted:
            _noted.add(former)
            print_to_stderr(f"Note: {former} is now {current}; a later version will not accept the old name")
