"""Say in words which values a key accepts, for errors, help and the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.config.fields import REQUIRED
from headstart.config.keys import Key

KINDS = {int: "a whole number", float: "a number", str: "text"}


def accepted_values(key: Key, literal: Callable[[str], str] = str, separator: str = ", ") -> str:
    """Return the values that a key accepts, such as `none, balanced, inverse` or `a number above 0`.

    Args:
        key: of the schema.
        literal: writes a word that is typed as it is.
        separator: between such words.
    """
    declared = key.field.metadata
    if "choices" in declared:
        return separator.join(literal(as_yaml(word)) for word in declared["choices"] if word != REQUIRED)
    if "takes" in declared:
        return literal(declared["takes"])
    if "count_or" in declared:
        return f"{literal(declared['count_or'])} or a whole number"
    if "range_or" in declared:
        return f"{', '.join(map(literal, declared['range_or']))} or {literal('[LOW,HIGH]')}"
    if "names" in declared or "name_or" in declared:
        return f"names in brackets, {literal('[A,B]')}" if "names" in declared else "a name"
    if "make_absolute" in declared:
        return "a path" if key.field.name != "uri" else "an address"
    if key.kind in (bool, bool | None):
        return separator.join(map(literal, ("true", "false")))
    kind = next((words for known, words in KINDS.items() if key.kind in (known, known | None)), "see its meaning")
    bounds = " and ".join(f"{word} {bound:,}" for word, bound in declared.get("bounds", {}).items())
    return f"{kind} {'of ' if bounds.startswith('at') else ''}{bounds}".strip()


def as_yaml(value: Any) -> str:
    """Return a value as YAML text."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
