"""Convert dataclasses to plain values for JSON and back, checked against their annotations.

None is omitted if it is the field's default; a missing key becomes the field's default, or None. Unknown keys are
ignored. The keys of a field with the metadata `inline` are written into its section's dictionary, and so are those of
a dictionary with the metadata `prefix`, with that prefix.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

Section = TypeVar("Section")  # a dataclass of this package


def to_plain(value: Any) -> Any:
    """Return dictionaries, lists and plain values.

    Args:
        value: a dataclass of this package, or dictionaries, tuples and plain values that may contain some.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain: dict[str, Any] = {}
        for item in dataclasses.fields(value):
            found = getattr(value, item.name)
            if found is None and item.default is None:
                continue
            if item.metadata.get("inline"):
                plain |= to_plain(found)
            elif prefix := item.metadata.get("prefix"):
                plain |= {f"{prefix}{key}": to_plain(member) for key, member in found.items()}
            else:
                plain[item.name] = to_plain(found)
        return plain
    if isinstance(value, dict):
        return {key: to_plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(member) for member in value]
    return value


def from_plain(kind: type[Section], plain: Any) -> Section:
    """Return the dataclass of plain values from `to_plain`.

    Args:
        kind: the dataclass.
        plain: plain values from JSON.

    Raises:
        ValueError: naming the key whose value is missing or of another type.
    """
    return _section(kind, plain, "")


def _section(kind: type, plain: Any, where: str) -> Any:
    if not isinstance(plain, dict):
        raise ValueError(f"{where or 'the file'} holds no section but {_short(plain)}")
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        hint, key = hints[item.name], f"{where}.{item.name}" if where else item.name
        if item.metadata.get("inline"):
            inner = _without_none(hint)
            if any(name.name in plain for name in dataclasses.fields(inner)):
                values[item.name] = _section(inner, plain, where)
        elif prefix := item.metadata.get("prefix"):
            found = {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)}
            values[item.name] = _value(hint, found, key)
        elif item.name in plain:
            values[item.name] = _value(hint, plain[item.name], key)
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            if not _allows_none(hint):
                raise ValueError(f"{key} is missing")
            values[item.name] = None
    return kind(**values)


def _value(hint: Any, plain: Any, where: str) -> Any:
    """Return a value of a type from plain ones."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if plain is None else _value(_without_none(hint), plain, where)
    if dataclasses.is_dataclass(hint):
        return _section(hint, plain, where)  # type: ignore[arg-type]
    if origin is dict and isinstance(plain, dict):
        return {key: _value(arguments[1], member, f"{where}.{key}") for key, member in plain.items()}
    if origin is tuple and isinstance(plain, (list, tuple)):
        return _tuple(arguments, plain, where)
    if isinstance(hint, type) and issubclass(hint, tuple) and isinstance(plain, (list, tuple)):  # a NamedTuple
        return hint(*_tuple(tuple(_hints(hint).values()), plain, where))
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if origin is None and isinstance(plain, hint) and isinstance(plain, bool) == (hint is bool):
        return plain
    raise ValueError(f"{where} is {_short(plain)}")


def _tuple(arguments: tuple[Any, ...], plain: Sequence[Any], where: str) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(plain)
    if len(arguments) != len(plain):
        raise ValueError(f"{where} has {len(plain)} values in place of {len(arguments)}")
    pairs = enumerate(zip(arguments, plain, strict=True))
    return tuple(_value(argument, member, f"{where}.{number}") for number, (argument, member) in pairs)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _allows_none(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)


def _without_none(hint: Any) -> Any:
    """Return X of `X | None`; no section has other unions."""
    [inner] = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    return inner


def _short(plain: Any) -> str:
    text = repr(plain)
    return text if len(text) <= 40 else f"{text[:40]}..."
