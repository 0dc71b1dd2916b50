"""Check a configuration against its schema."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from headstart.config.fields import REQUIRED
from headstart.config.suggestions import tip_for_value, unknown_key
from headstart.core.errors import HeadstartError


def check_values(node: Any, prefix: str = "") -> None:
    """Raise for the first value that is not one of the choices or within the bounds of its field.

    Args:
        node: a configuration, or one group of it.
        prefix: prefix of its keys on the command line, for example `augmentation.`.

    Raises:
        HeadstartError: naming the key, the valid values and the value.
    """
    for item in dataclasses.fields(node):
        key, value = f"{prefix}{item.name}", getattr(node, item.name)
        if "write" in item.metadata:
            continue  # parsing has checked it
        for position, member in enumerate(value if isinstance(value, list) else [value]):
            if dataclasses.is_dataclass(member):
                check_values(member, f"{key}[{position}]." if isinstance(value, list) else f"{key}.")
        if "choices" in item.metadata and (value is not None or item.default is not None):
            _expect_choice(key, value, [name for name in item.metadata["choices"] if name not in (None, REQUIRED)])
        if "names" in item.metadata:
            for member in value or []:
                _expect_text(key, member, "[" + ",".join(map(_in_quotes, value[:3])) + "]")
        if "name_or" in item.metadata and value is not None and value not in item.metadata["name_or"]:
            _expect_text(key, value, _in_quotes(value))
        if "count_or" in item.metadata:
            word, count = item.metadata["count_or"], isinstance(value, int) and not isinstance(value, bool)
            if value != word and not (count and value >= 1):
                raise HeadstartError(f"Expected {key} to be {word} or a whole number of at least 1. Received: {value}")
        if "range_or" in item.metadata and value not in item.metadata["range_or"]:
            _expect_range(key, value, item.metadata["range_or"])
        if "bounds" in item.metadata and value is not None:
            within = {
                "at least": lambda bound, value=value: value >= bound,
                "at most": lambda bound, value=value: value <= bound,
                "above": lambda bound, value=value: value > bound,
                "below": lambda bound, value=value: value < bound,
            }
            bounds = item.metadata["bounds"]
            if not math.isfinite(value) or not all(within[word](bound) for word, bound in bounds.items()):
                wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items())
                raise HeadstartError(f"Expected {key} to be {wanted}. Received: {value}")


def _expect_choice(key: str, value: object, valid: list[str]) -> None:
    """Raise for a value that is none of the valid words."""
    if value not in valid:
        problem = f"Expected {key} to be one of {', '.join(valid)}. Received: {value}"
        raise HeadstartError(problem, tip_for_value(value, valid))


def _expect_text(key: str, name: Any, quoted: str) -> None:
    """Raise for a name that is not text, and show how to quote it."""
    if not isinstance(name, str):
        raise HeadstartError(
            f"Expected names in {key} to be text. Received: {name} ({type(name).__name__})",
            f"YAML reads unquoted names such as no, 001, 1.10 and null as other values: write {quoted}, on the command "
            f"line '{key}={quoted}'",
        )
    if not name.strip():
        raise HeadstartError(f"Expected names in {key} not to be blank. Received: {name!r}")


def _in_quotes(value: Any) -> str:
    """Return a value in quotes, as the user probably typed it before YAML parsed it."""
    text = {"True": "yes", "False": "no", "None": "null"}.get(str(value), value)
    return f'"{text}"'


def _expect_range(key: str, value: Any, words: tuple[str, ...]) -> None:
    numbers = [end for end in value if isinstance(end, int | float)] if isinstance(value, list) else []
    finite = [end for end in numbers if not isinstance(end, bool) and math.isfinite(end)]
    if len(finite) != 2 or len(value) != 2 or not finite[0] < finite[1]:
        raise HeadstartError(
            f"Expected {key} to be {', '.join(words)} or [LOW,HIGH], the second above the first. Received: {value}"
        )


def check_keys(node: Any, schema: Any, prefix: str) -> None:
    """Raise for a key that is not in the schema, which `+` or `++` on the command line can add.

    Args:
        node: a configuration, or one group of it.
        schema: its dataclass.
        prefix: key of the group.

    Raises:
        HeadstartError: naming the key and the closest valid one.
    """
    valid = {item.name: item for item in dataclasses.fields(schema)}
    for key in node:
        if key not in valid:
            raise unknown_key(f"{prefix}.{key}".strip("."), "" if node[key] is None else str(node[key]))
        default = valid[key].default_factory
        if dataclasses.is_dataclass(default):
            check_keys(node[key], default, f"{prefix}.{key}".strip("."))


def check_no_interpolations(value: Any, key: str) -> None:
    """Raise for a `${...}` interpolation, which a resolved configuration cannot have.

    Args:
        value: a configuration, or a part of it.
        key: key of the part.

    Raises:
        HeadstartError: naming the key.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            check_no_interpolations(inner, f"{key}.{name}".strip("."))
    elif isinstance(value, list):
        for inner in value:
            check_no_interpolations(inner, key)
    elif isinstance(value, str) and "${" in value:
        raise HeadstartError(f"Expected {key} of a resolved configuration to be a plain value. Received: {value}")
