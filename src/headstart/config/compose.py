"""Compose a configuration from the schema, options and overrides with Hydra, and resolve and check it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headstart.config.checks import check_keys, check_values
from headstart.config.explain import explain
from headstart.config.keys import field_of, keys_of
from headstart.config.mistyped import quote_options
from headstart.config.overrides import (
    drop_group,
    expand_home,
    expect_quoted_text,
    override_key,
    quote_value,
    use_current_names,
)
from headstart.config.schema import Config, FreezeConfig, OptimizerConfig, StrategyConfig
from headstart.config.strategies import GROUPS, strategy_overrides
from headstart.config.train_targets import parse_target
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory

PARTS = ("head", "augmentation", "freeze optimizer")  # GROUPS; stages inherit the optimizer
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
    words = use_current_names(expand_home(overrides))
    try:
        there = GlobalHydra.instance().is_initialized()
        with (
            contextlib.nullcontext()
            if there
            else hydra.initialize_config_dir(str(conf_directory()), version_base="1.3")
        ):
            expect_quoted_text(words)
            searched = [f"hydra.searchpath=[{','.join(map(quote_value, search_path))}]"] if search_path else []
            return resolve(hydra.compose("config", [*quote_options(words), *searched]), words, search_path)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, words) from error


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
        overrides: the overrides it was composed with, for composing the strategies of `scenario=auto`; None: compose
            none.
        search_path: additional locations of options, see `search_path_of`.

    Returns:
        The configuration in which each stage has a complete optimizer, a parsed `train` and the run's `epochs`.

    Raises:
        HeadstartError: for a missing value or a value out of range.
    """
    try:
        check_keys(composed, Config, "")
        make_paths_absolute(composed, Path.cwd())
        config: Config = OmegaConf.to_object(composed)  # type: ignore[assignment]
        check_values(config)
        _complete(config.freeze, config.optimizer, config.epochs, "freeze")
        for group in ("strategies", "cells"):
            for name, one in getattr(config.scenario, group).items():
                _complete(one.freeze, one.optimizer, config.epochs, f"scenario.{group}.{name}.freeze")
    except OmegaConfBaseException as error:
        raise explain(error, overrides or ()) from error
    check_values(config)
    if config.scenario.name == "auto" and not config.scenario.strategies and overrides is not None:
        config.scenario.strategies = compose_strategies(overrides, search_path)
    return config


def _complete(freeze: FreezeConfig, optimizer: OptimizerConfig, epochs: int | None, key: str) -> None:
    """Give each stage a complete optimizer, the run's epochs and a parsed `train`.

    Raises:
        HeadstartError: if there is no stage, two stages share a name, or a `train` is invalid.
    """
    for position, stage in enumerate(freeze.stages):
        stage.optimizer = _with_given(optimizer, stage.optimizer)
        stage.epochs = epochs if epochs is not None else stage.epochs
        stage.train = parse_target(stage.train, f"{key}.stages.{position}.train")
    if not freeze.stages:
        raise HeadstartError(f"Expected {key}.stages to have at least one stage. Received: an empty list")
    names = [stage.name for stage in freeze.stages]
    if len(set(names)) < len(names):
        raise HeadstartError(f"Expected every stage in {key}.stages to have a unique name. Received: {names}")


def scenario_strategies(config: Config) -> dict[str, Config]:
    """Return the configurations that `scenario=auto` may train, by the name of their strategy.

    Args:
        config: configuration of a run with `scenario=auto`.

    Raises:
        HeadstartError: if an earlier version stored the configuration.
    """
    if not config.scenario.strategies:
        raise HeadstartError(
            "Expected scenario.strategies of a run with scenario=auto. Received: none, because an earlier version of "
            "headstart began this run",
            "start a new one with scenario=auto",
        )
    return {name: with_strategy(config, strategy) for name, strategy in config.scenario.strategies.items()}


def with_strategy(config: Config, strategy: StrategyConfig) -> Config:
    """Return the configuration of a run with the parts of a strategy in place of its own.

    Args:
        config: of the run.
        strategy: the strategy.
    """
    return dataclasses.replace(config, **{group: getattr(strategy, group) for group in GROUPS})


def compose_strategies(overrides: Sequence[str], search_path: Sequence[str] = ()) -> dict[str, StrategyConfig]:
    """Return each strategy, composed with the run's other overrides, which win.

    Args:
        overrides: overrides of a run with `scenario=auto`.
        search_path: additional locations of options.

    Raises:
        HeadstartError: when the other overrides do not fit a strategy.
    """
    others = tuple(word for word in drop_group(overrides, "scenario") if _may_change_a_strategy(word, overrides))
    words = strategy_overrides(others)
    # Composing takes 0.2 s. Except that stages inherit the optimizer, options of different groups do not depend on each
    # other, so that one composition gives an option of each.
    options = {part: list(dict.fromkeys(_words_of(part, one) for one in words.values())) for part in PARTS}
    parts: dict[tuple[str, ...], StrategyConfig] = {}
    for round_of in range(max(map(len, options.values()))):
        chosen = [of_part[min(round_of, len(of_part) - 1)] for of_part in options.values()]
        composed = _compose_strategy(tuple(word for option in chosen for word in option), others, tuple(search_path))
        parts |= {(part, *option): composed for part, option in zip(PARTS, chosen, strict=True)}
    found = {}
    for name, one in words.items():
        groups = {group: getattr(parts[part, *_words_of(part, one)], group) for part in PARTS for group in part.split()}
        found[name] = copy.deepcopy(StrategyConfig(**groups))
    return found


def _words_of(part: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides of some groups, which a space separates."""
    return tuple(word for word in words if override_key(word).partition(".")[0] in part.split())


def _may_change_a_strategy(word: str, overrides: Sequence[str]) -> bool:
    """Return whether an override can change a strategy; dropping the others lets jobs share strategies."""
    item = field_of(Config, override_key(word))
    is_value = item is not None and "meaning" in item.metadata
    refers = any("${" in other for other in overrides)  # may refer to this value
    return refers or not is_value or override_key(word).split(".")[0] in (*GROUPS, "epochs")


@functools.cache
def _compose_strategy(words: tuple[str, ...], others: tuple[str, ...], search_path: tuple[str, ...]) -> StrategyConfig:
    """Compose a strategy; cached, because a command resolves its configuration several times."""
    try:
        config = compose([*words, *others], search_path)
    except HeadstartError as error:
        problem = f"{' '.join(words)}, which scenario=auto may choose: {error.problem}"
        raise HeadstartError(problem, error.tip) from error
    return StrategyConfig(**{group: getattr(config, group) for group in GROUPS})


def make_paths_absolute(composed: DictConfig, base: Path) -> None:
    """Make the paths of a configuration absolute, so that they do not depend on the working directory.

    Args:
        composed: the configuration that Hydra composed.
        base: the directory in which the command was started.
    """
    for name, make_absolute in _path_keys():
        try:
            value = OmegaConf.select(composed, name, throw_on_missing=False)
        except OmegaConfBaseException:  # an invalid interpolation; `resolve` reports it
            continue
        if value is not None:
            OmegaConf.update(composed, name, make_absolute(value, base))


@functools.cache
def _path_keys() -> tuple[tuple[str, Callable[[str, Path], str]], ...]:
    """Return the keys whose values are paths, and what makes them absolute."""
    keys = ((key.name, key.field.metadata.get("make_absolute")) for key in keys_of(Config))
    return tuple((name, make_absolute) for name, make_absolute in keys if make_absolute is not None)


def _with_given(base: Any, given: Any) -> Any:
    """Return a dataclass with the values of another one of the same fields that are not null."""
    changes = {}
    for item in dataclasses.fields(base):
        inherited, own = getattr(base, item.name), getattr(given, item.name)
        if dataclasses.is_dataclass(inherited):
            changes[item.name] = _with_given(inherited, own)
        else:
            changes[item.name] = inherited if own is None else own
    return dataclasses.replace(base, **changes)
