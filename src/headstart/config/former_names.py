"""Keys, values and options by the names that they had in earlier versions, which are read for one version more.

The names stand at the fields of the schema, see `Declared`. What people typed or wrote in YAML files of their own is
read with a note; what earlier runs stored, without one.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from headstart.config.keys import member_of
from headstart.config.schema import Config
from headstart.core.console import print_to_stderr

_noted: set[str] = set()  # what this process has printed


@dataclasses.dataclass
class Names:
    """Which names are put in place of which, and those that were.

    Args:
        back: False puts current names in place of former ones, True the other way round.
    """

    back: bool = False
    renamed: dict[str, str] = dataclasses.field(default_factory=dict)  # as on the command line: from, to

    def of_key(self, item: dataclasses.Field) -> str:
        """Return the name of a field."""
        return item.metadata.get("formerly", item.name) if self.back else item.name

    def of_values(self, item: dataclasses.Field | None) -> dict[str, str]:
        """Return the names of a field's values that are replaced, with what replaces them."""
        former = {} if item is None else item.metadata.get("former_values", {})
        return former if self.back else {name: current for current, name in former.items()}


def rename(node: Any, kind: Any, names: Names, key: str = "", item: dataclasses.Field | None = None) -> Any:
    """Return a part of a configuration with other names.

    Args:
        node: dictionaries, lists and plain values.
        kind: its type in the schema.
        names: which names; gets those that were replaced.
        key: of the part.
        item: the part's field.
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
    """Return the fields of a group by their names, and by those that they had in earlier versions."""
    items = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return {name: item for item in items for name in (item.metadata.get("formerly", item.name), item.name)}


def options_field(group: str) -> dataclasses.Field | None:
    """Return the field that holds the name of the chosen option of a group; None where there is no such group."""
    kind = typing.get_type_hints(Config).get(group)
    items = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return next((item for item in items if item.name == "name"), None)


def print_renamed(names: Names) -> None:
    """Print which names are others now, each once in a process.

    Args:
        names: those that were replaced.
    """
    for former, current in names.renamed.items():
        if former not in _noted:
            _noted.add(former)
            print_to_stderr(f"Note: {former} is now {current}; the old name is read in this version")
