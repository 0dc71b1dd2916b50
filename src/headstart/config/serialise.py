"""Convert a configuration to plain values and YAML, and back."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from headstart.config.checks import check_no_interpolations
from headstart.config.compose import resolve
from headstart.config.explain import explain
from headstart.config.former_names import Names, rename
from headstart.config.former_scenarios import compose_cells
from headstart.config.keys import written
from headstart.config.schema import Config
from headstart.core.errors import HeadstartError


def to_dict(config: Any) -> dict[str, Any]:
    """Return a resolved configuration, or a group of it, as plain values for YAML.

    Args:
        config: a dataclass.
    """
    return {item.name: _plain(written(item, getattr(config, item.name))) for item in dataclasses.fields(config)}


def parameters(config: Any) -> dict[str, Any]:
    """Return the plain values that describe a run, without what `scenario=auto` chooses from.

    Args:
        config: a dataclass.
    """
    plain = to_dict(config)
    for name in ("strategies", "cells"):
        plain.get("scenario", {}).pop(name, None)
    return plain


def to_yaml(config: Config) -> str:
    """Return the resolved configuration as YAML; `from_yaml` turns it back into the same configuration."""
    return OmegaConf.to_yaml(OmegaConf.create(to_dict(config)))


def from_yaml(text: str) -> Config:
    """Return the configuration in YAML that `to_yaml` of this or an earlier version wrote.

    Args:
        text: YAML.

    Raises:
        HeadstartError: when the text is not a configuration.
    """
    try:
        stored = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        if not isinstance(stored, dict):
            raise HeadstartError(f"Expected a configuration. Received: {text[:40]}")
        stored = rename(stored, Config, Names())
        earlier = _take_command_line(stored)
        check_no_interpolations(stored, "")
        config = resolve(OmegaConf.merge(OmegaConf.structured(Config), stored))  # type: ignore[arg-type]
    except (OmegaConfBaseException, YAMLError, ValueError, TypeError, RecursionError) as error:
        raise explain(error) from error
    except AssertionError as error:  # raised by OmegaConf for a number
        raise HeadstartError(f"Expected a configuration. Received: {text[:40]}") from error
    if config.scenario.name == "auto" and not config.scenario.cells and earlier is not None:
        with contextlib.suppress(HeadstartError):  # the options no longer exist
            config.scenario.cells = compose_cells(*earlier)
    return config


def _take_command_line(stored: dict[Any, Any]) -> tuple[list[str], list[str]] | None:
    """Remove and return the overrides and search path that earlier versions stored for `scenario=auto`."""
    scenario = stored.get("scenario")
    if not isinstance(scenario, dict) or not {"overrides", "search_path"} & scenario.keys():
        return None
    found = [scenario.pop(name, None) or [] for name in ("overrides", "search_path")]
    check_no_interpolations(found[1], "scenario.search_path")
    if not all(isinstance(words, list) and all(isinstance(word, str) for word in words) for words in found):
        raise HeadstartError(f"Expected scenario.overrides and search_path to be lists of text. Received: {found}")
    return found[0], found[1]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else copy.deepcopy(value)
