"""Compose a configuration from the schema, options and overrides with Hydra, and resolve and check it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headstart.config.checks import check_keys, check_values, explain
from headstart.config.keys import field_of, keys_of
from headstart.config.overrides import (
    drop_group,
    expand_home,
    expect_quoted_text,
    override_key,
    quote_value,
    use_current_names,
)
from headstart.config.schema import CELLS, CellConfig, Config, FreezeConfig, OptimizerConfig
from headstart.config.train_targets import parse_target
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory

OWN_SOURCES = ("hydra", "main", "schema")  # Hydra's names of the config sources that every command has


@functools.cache
def register_schema() -> None:
    """Register the schema with Hydra as `schema`, which `conf/config.yaml` includes; a second call does nothing."""
    from hydra.core.config_store import ConfigStore

    from headstart.config.option_files import register_option_sources

    ConfigStore.instance().store(name="schema", node=Config)
    register_option_sources()


def compose(overrides: Sequence[str] = (), search_path: Sequence[str] = ()) -> Config:
    """Compose a configuration outside of `headstart train`.

    Args:
        overrides: as on the command line, for example `["backbone=vgg16", "seed=1"]`.
        search_path: additional locations of options, see `search_path_of`.

    Raises:
        HeadstartError: for an unknown name or key, a wrong type or a value out of range.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    register_schema()
    try:
        there = GlobalHydra.instance().is_initialized()
        with (
            contextlib.nullcontext()
            if there
            else hydra.initialize_config_dir(str(conf_directory()), version_base="1.3")
        ):
            words = use_current_names(expand_home(overrides))
            expect_quoted_text(words)
            searched = [f"hydra.searchpath=[{','.join(map(quote_value, search_path))}]"] if search_path else []
            return resolve(hydra.compose("config", [*words, *searched]), words, search_path)
    except (HydraException, OmegaConfBaseException) as error:
        raise HeadstartError(explain(error)) from error


def search_path_of(hydra: Any) -> list[str]:
    """Return the locations of options besides the shipped ones: `--config-dir` and `hydra.searchpath`.

    Args:
        hydra: Hydra's own configuration.
    """
    found = []
    for source in hydra.runtime.config_sources:
        if source.provider not in OWN_SOURCES:
            path = os.path.join(hydra.runtime.cwd, source.path) if source.schema == "file" else source.path
            found.append(f"{source.schema}://{path}")
    return list(dict.fromkeys(found))


def resolve(composed: DictConfig, overrides: Sequence[str] | None = None, search_path: Sequence[str] = ()) -> Config:
    """Convert a composed configuration to dataclasses, and check every value.

    Args:
        composed: the configuration that Hydra composed.
        overrides: the overrides it was composed with, for composing the four cells of `scenario=auto`; None: compose
            no cells.
        search_path: additional locations of options, see `search_path_of`.

    Returns:
        The configuration in which each stage has a complete optimizer, a parsed `train` and the run's `epochs`.

    Raises:
        HeadstartError: for a missing value or a value out of range.
    """
    try:
        check_keys(composed, Config, "")
        composed = with_absolute_paths(composed, Path.cwd())
        config: Config = OmegaConf.to_object(composed)  # type: ignore[assignment]
        check_values(config)
        _complete(config.freeze, config.optimizer, config.epochs, "freeze")
        for name, cell in config.scenario.cells.items():
            _complete(cell.freeze, cell.optimizer, config.epochs, f"scenario.cells.{name}.freeze")
    except OmegaConfBaseException as error:
        raise HeadstartError(explain(error)) from error
    check_values(config)
    if config.scenario.name == "auto" and not config.scenario.cells and overrides is not None:
        config.scenario.cells = compose_cells(overrides, search_path)
    return config


def _complete(freeze: FreezeConfig, optimizer: OptimizerConfig, epochs: int | None, key: str) -> None:
    """Give each stage a complete optimizer, the run's epochs and a parsed `train`.

    Raises:
        HeadstartError: if there is no stage, two stages share a name, or a `train` is invalid.
    """
    for position, stage in enumerate(freeze.stages):
        given = _without_null(dataclasses.asdict(stage.optimizer))
        whole: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(optimizer), given))
        stage.optimizer = whole
        stage.epochs = epochs if epochs is not None else stage.epochs
        stage.train = parse_target(stage.train, f"{key}.stages.{position}.train")
    if not freeze.stages:
        raise HeadstartError(f"Expected {key}.stages to have at least one stage. Received: an empty list")
    names = [stage.name for stage in freeze.stages]
    if len(set(names)) < len(names):
        raise HeadstartError(f"Expected every stage in {key}.stages to have a unique name. Received: {names}")


def scenario_cells(config: Config) -> dict[str, Config]:
    """Return the configurations that `scenario=auto` chooses from, one for each cell.

    Args:
        config: configuration of a run with `scenario=auto`.

    Raises:
        HeadstartError: if an earlier version stored the configuration, and its options no longer exist.
    """
    cells = config.scenario.cells
    if set(cells) != set(CELLS):
        raise HeadstartError(
            f"Expected scenario.cells of a run with scenario=auto to be {', '.join(CELLS)}. "
            f"Received: {', '.join(cells) or 'none'}. Start a new run with scenario=auto"
        )
    return {
        name: dataclasses.replace(config, freeze=cells[name].freeze, optimizer=cells[name].optimizer) for name in CELLS
    }


def compose_cells(overrides: Sequence[str], search_path: Sequence[str] = ()) -> dict[str, CellConfig]:
    """Return the freeze schedule and optimizer of each scenario, composed with the run's other overrides, which win.

    Args:
        overrides: overrides of a run with `scenario=auto`.
        search_path: additional locations of options.

    Raises:
        HeadstartError: when the other overrides do not fit a cell.
    """
    others = tuple(word for word in drop_group(overrides, "scenario") if _may_change_a_cell(word, overrides))
    return {cell: copy.deepcopy(_compose_cell(cell, others, tuple(search_path))) for cell in CELLS}


def _may_change_a_cell(word: str, overrides: Sequence[str]) -> bool:
    """Return whether an override can change the freeze schedule or optimizer; dropping others lets jobs share cells."""
    item = field_of(Config, override_key(word))
    is_value = item is not None and "meaning" in item.metadata
    refers = any("${" in other for other in overrides)  # may refer to this value
    return refers or not is_value or override_key(word).split(".")[0] in ("freeze", "optimizer", "epochs")


@functools.cache
def _compose_cell(cell: str, others: tuple[str, ...], search_path: tuple[str, ...]) -> CellConfig:
    """Compose a cell; cached, because composing takes 0.2 s and a command resolves its configuration several times."""
    try:
        config = compose([*others, f"scenario={cell}"], search_path)
    except HeadstartError as error:
        raise HeadstartError(f"scenario={cell}, which scenario=auto may choose: {error}") from error
    return CellConfig(config.freeze, config.optimizer)


def with_absolute_paths(composed: DictConfig, base: Path) -> DictConfig:
    """Return a configuration with absolute paths, which do not depend on the working directory.

    Args:
        composed: the configuration that Hydra composed.
        base: the directory in which the command was started.
    """
    composed = copy.deepcopy(composed)
    for key in keys_of(Config):
        make_absolute = key.field.metadata.get("make_absolute")
        if make_absolute is None:
            continue
        try:
            value = OmegaConf.select(composed, key.name, throw_on_missing=False)
        except OmegaConfBaseException:  # an invalid interpolation; `resolve` reports it
            continue
        if value is not None:
            OmegaConf.update(composed, key.name, make_absolute(value, base))
    return composed


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values without those that are null."""
    kept = {key: _without_null(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None}
