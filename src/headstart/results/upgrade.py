"""Older results.json files in the form of the present version.

Version 1 (no `schema_version`): `waiting_for_input` in place of `data_wait_fraction`, `cut` in place of `split_point`
in what `scenario=auto` measured, and empty `seconds` in running.json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headstart.core.errors import HeadstartError


class NewerSchemaError(HeadstartError):
    """A file was written by a newer version of headstart."""


def version_of(content: dict[str, Any], what: str, schema: str, known: int) -> int:
    """Return the schema version of a file, 1 if it has none.

    Args:
        content: of the file.
        what: whose file it is, as in `run`.
        schema: name of the schema, as in `results`.
        known: the highest version that can be read.

    Raises:
        NewerSchemaError: when the version is a higher one.
        ValueError: when it is no version at all.
    """
    version = content.get("schema_version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"schema_version is {version!r}")
    if version > known:
        raise NewerSchemaError(
            f"This {what} was written by a newer headstart ({schema} schema {version}, this version reads up to "
            f"{known}). Update headstart."
        )
    return version


def upgrade_results(content: dict[str, Any], known: int) -> dict[str, Any]:
    """Return the content of a results.json as the present version would have written it.

    Args:
        content: as it was written.
        known: the present version.

    Raises:
        NewerSchemaError: when a newer version wrote it.
        ValueError: when its version is no version at all.
    """
    for version in range(version_of(content, "run", "results", known), known):
        content = UPGRADES[version](content)
    return content


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    content = {{"waiting_for_input": "data_wait_fraction"}.get(key, key): value for key, value in content.items()}
    if content.get("seconds") == {}:
        del content["seconds"]
    scenario = content.get("scenario")
    if isinstance(scenario, dict) and "probes" in scenario:
        probes = [_with_split_point(one) for one in scenario["probes"]]
        both = {key: _with_split_point(scenario[key]) for key in ("best", "last") if key in scenario}
        content["scenario"] = {**scenario, "probes": probes, **both}
    return content


def _with_split_point(probe: dict[str, Any]) -> dict[str, Any]:
    return {"split_point" if key == "cut" else key: value for key, value in probe.items()}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
