"""results.json and running.json: the one writer and the one reader."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from headstart.config import from_yaml
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.files import write_json
from headstart.results.codec import from_plain, to_plain
from headstart.results.types import SCHEMA_VERSION, RunResults
from headstart.results.upgrade import upgrade_results

RESULTS = "results.json"  # in the directory of a run that has ended


def write_results(directory: Path, results: RunResults, name: str = RESULTS) -> None:
    """Write results atomically.

    Args:
        directory: directory of the run.
        results: the results so far.
        name: name of the file.
    """
    write_json(directory / name, plain_results(results))


def plain_results(results: RunResults) -> dict[str, Any]:
    """Return results as plain values for results.json."""
    return {"schema_version": SCHEMA_VERSION, **to_plain(results)}


def load_results(file: Path) -> RunResults:
    """Return the results in a file, upgraded if an older version wrote them.

    Args:
        file: results.json, or another one with the same content.

    Raises:
        NewerSchemaError: when a newer version of headstart wrote it.
        OSError: when the file cannot be read.
        ValueError: when it holds something else, naming the key.
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} holds no results")
    try:
        results = from_plain(RunResults, upgrade_results(content, SCHEMA_VERSION))
    except (TypeError, AttributeError) as error:  # of an older file whose sections are something else
        raise ValueError(f"{file.name} holds something else: {error}") from error
    return results if "schema_version" in content else _with_current_digest(results, file.parent)


def read_results(directory: Path, name: str = RESULTS) -> RunResults | None:
    """Return the results of a run; None if there are none or they cannot be read.

    Args:
        directory: directory of the run.
        name: name of the file.

    Raises:
        NewerSchemaError: when a newer version of headstart wrote them.
    """
    try:
        return load_results(directory / name)
    except (OSError, ValueError, RecursionError):  # half written by another tool, or not headstart's: not a run
        return None


def _with_current_digest(results: RunResults, directory: Path) -> RunResults:
    """Return results with the `config_hash` of this version, of whose kind those of the first versions are not.

    Args:
        results: of a run that has one.
        directory: of the run. Without a configuration that can be read, the results stay as they are.
    """
    if results.config_hash is None:
        return results
    try:
        text = (directory / "config.yaml").read_text(encoding="utf-8")
        return dataclasses.replace(results, config_hash=_digest_of(text))
    except (OSError, ValueError, HeadstartError):
        return results


@functools.cache
def _digest_of(text: str) -> str:
    """Return the `config_hash` of a stored configuration; a sweep reads those of its jobs once for each job."""
    return config_hash(from_yaml(text))
