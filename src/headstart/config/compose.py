"""Composing a configuration: what Hydra does with the schema, options and overrides, and the checks afterwards."""

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

OWN_SOURCES = ("hydra", "main", "schema")  # what Hydra calls the places that every command looks for options in


def register_schema() -> None:
    """Make the schema known to Hydra, under the name that `conf/config.yaml` starts from."""
    from hydra.core.config_store import ConfigStore

    from headstart.config.option_files import register_option_sources

    ConfigStore.instance().store(name="schema", node=Config)
    register_option_sources()


def compose(overrides: Sequence[str] = (), search_path: Sequence[str] = ()) -> Config:
    """Compose a run's configuration, for scripts and tests, and for what a run finds out itself.

    Args:
        overrides: as on the command line, for example `["backbone=vgg16", "seed=1"]`.
        search_path: where options are beside the shipped ones, see `search_path_of`.

    Raises:
        HeadstartError: for an unknown name or key, a wrong type, a value out of its range.
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
    """Return where a command looks for options beside the shipped ones: `--config-dir` and `hydra.searchpath`.

    Args:
        hydra: Hydra's own part of what it composed.
    """
    found = []
    for source in hydra.runtime.config_sources:
        if source.provider not in OWN_SOURCES:
            path = os.path.join(hydra.runtime.cwd, source.path) if source.schema == "file" else source.path
            found.append(f"{source.schema}://{path}")
    return list(dict.fromkeys(found))


def resolve(composed: DictConfig, overrides: Sequence[str] | None = None, search_path: Sequence[str] = ()) -> Config:
    """Turn what Hydra composed into plain dataclasses, with every value checked.

    Args:
        composed: the configuration as Hydra hands it over.
        overrides: with which it was composed, and with which `scenario=auto` composes what it may choose from; None
            composes nothing.
        search_path: where options were looked for beside the shipped ones, see `search_path_of`.

    Returns:
        The configuration in which each stage has its whole optimizer and a parsed `train`, and `epochs` has been
        applied.

    Raises:
        HeadstartError: for a missing value or one out of its range.
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
    """Give each stage its whole optimizer, the run's epochs and a parsed `train`.

    Raises:
        HeadstartError: for no stages, two of one name, or a `train` that is none.
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
        raise HeadstartError(f"Expected every stage in {key}.stages to have a name of its own. Received: {names}")


def scenario_cells(config: Config) -> dict[str, Config]:
    """Return what `scenario=auto` may become: for each cell the configuration with its freeze schedule and optimizer.

    Args:
        config: of a run with `scenario=auto`.

    Raises:
        HeadstartError: when the configuration is an earlier version's, and the options that it was composed of are
            not found any more.
    """
    cells = config.scenario.cells
    if set(cells) != set(CELLS):
        raise HeadstartError(
            f"Expected scenario.cells of a run with scenario=auto to be {', '.join(CELLS)}. "
            f"Received: {', '.join(cells) or 'none'}. Start it anew with scenario=auto"
        )
    return {
        name: dataclasses.replace(config, freeze=cells[name].freeze, optimizer=cells[name].optimizer) for name in CELLS
    }


def compose_cells(overrides: Sequence[str], search_path: Sequence[str] = ()) -> dict[str, CellConfig]:
    """Return what each scenario calls for beside the same other overrides, so that what was given explicitly wins.

    Args:
        overrides: of a run with `scenario=auto`.
        search_path: where options are beside the shipped ones.

    Raises:
        HeadstartError: when the other overrides do not fit a cell.
    """
    others = tuple(word for word in drop_group(overrides, "scenario") if _may_change_a_cell(word, overrides))
    return {cell: copy.deepcopy(_compose_cell(cell, others, tuple(search_path))) for cell in CELLS}


def _may_change_a_cell(word: str, overrides: Sequence[str]) -> bool:
    """Return whether an override may set freeze schedule or optimizer; a seed does not, so that cells are shared."""
    item = field_of(Config, override_key(word))
    is_value = item is not None and "meaning" in item.metadata
    refers = any("${" in other for other in overrides)  # to any value, perhaps this one
    return refers or not is_value or override_key(word).split(".")[0] in ("freeze", "optimizer", "epochs")


@functools.cache
def _compose_cell(cell: str, others: tuple[str, ...], search_path: tuple[str, ...]) -> CellConfig:
    """Return a cell; composing takes a fifth of a second, and a command resolves its configuration several times."""
    try:
        config = compose([*others, f"scenario={cell}"], search_path)
    except HeadstartError as error:
        raise HeadstartError(f"scenario={cell}, which scenario=auto may choose: {error}") from error
    return CellConfig(config.freeze, config.optimizer)


def with_absolute_paths(composed: DictConfig, base: Path) -> DictConfig:
    """Return a configuration whose paths no change of the working directory moves.

    Args:
        composed: the configuration as Hydra hands it over.
        base: the directory where the command was given.
    """
    composed = copy.deepcopy(composed)
    for key in keys_of(Config):
        make_absolute = key.field.metadata.get("make_absolute")
        if make_absolute is None:
            continue
        try:
            value = OmegaConf.select(composed, key.name, throw_on_missing=False)
        except OmegaConfBaseException:  # a value that cannot be looked up; `resolve` says what is wrong with it
            continue
        if value is not None:
            OmegaConf.update(composed, key.name, make_absolute(value, base))
    return composed


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """Return nested values without those that are null."""
    kept = {key: _without_null(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if value is not None}
