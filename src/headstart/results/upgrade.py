"""Upgrade older results.json files to the current schema version.

Version 1 (no `schema_version`) has `waiting_for_input` for `data_wait_fraction`, `cut` for `split_point` in the
measurements of `scenario=auto`, and empty `seconds` in running.json.
Version 2 has `engine` for `inference_backend` in `environment`.
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
        content: content of the file.
        what: kind of file for the message, such as `run`.
        schema: name of the schema, such as `results`.
        known: the latest version that this headstart can read.

    Raises:
        NewerSchemaError: when the version is newer.
        ValueError: when the version is not a positive number.
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
    """Return the content of a results.json in the current schema version.

    Args:
        content: content of the file.
        known: the current version.

    Raises:
        NewerSchemaError: when a newer version wrote it.
        ValueError: when its version is not a positive number.
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


def _from_2(content: dict[str, Any]) -> dict[str, Any]:
    environment = content.get("environment")
    if isinstance(environment, dict):
        renamed = {"inference_backend" if key == "engine" else key: value for key, value in environment.items()}
        content = {**content, "environment": renamed}
    return content


def _with_split_point(probe: dict[str, Any]) -> dict[str, Any]:
    return {"split_point" if key == "cut" else key: value for key, value in probe.items()}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
