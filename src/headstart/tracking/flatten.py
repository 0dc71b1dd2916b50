"""Dotted keys for nested values."""

from __future__ import annotations

from typing import Any


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dictionaries and lists as one dictionary with dotted keys.

    Args:
        node: dictionaries, lists and plain values.
        prefix: key of the node itself.
    """
    if isinstance(node, dict):
        members: list[tuple[Any, Any]] = list(node.items())
    elif isinstance(node, list):
        members = list(enumerate(node))
    else:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, member in members:
        flat.update(flatten(member, f"{prefix}.{key}" if prefix else str(key)))
    return flat
