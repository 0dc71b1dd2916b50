"""Hydra's config sources, extended to accept former names in users' own YAML files."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hydra._internal.core_plugins import file_config_source, importlib_resources_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from headstart.config.former_names import Names, options_field, print_renamed, rename
from headstart.config.overrides import rename_word
from headstart.config.schema import Config


def register_option_sources() -> None:
    """Register config sources that accept former names."""
    Plugins.instance()  # registers Hydra's sources first, so that these replace them
    sources = SourcesRegistry.instance().types
    sources.update({source.scheme(): source for source in (FileConfigSource, ImportlibResourcesConfigSource)})


class FileConfigSource(file_config_source.FileConfigSource):
    """A directory of options whose files may have former names."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file with current names."""
        file = os.path.join(self.path, self._normalize_file_name(config_path))
        try:
            state = os.stat(file)
        except OSError:  # Hydra says what is missing
            return super().load_config(config_path)
        version = (os.path.realpath(file), state.st_mtime_ns, state.st_size, state.st_ino)
        return _load_once(version, config_path, super().load_config)


class ImportlibResourcesConfigSource(importlib_resources_config_source.ImportlibResourcesConfigSource):
    """A package of options whose files may have former names."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file with current names."""
        return _load_once((self.path, config_path), config_path, super().load_config)


LOADED: dict[tuple[Any, ...], ConfigResult] = {}  # by the version of a file


def _load_once(version: tuple[Any, ...], config_path: str, load: Callable[[str], ConfigResult]) -> ConfigResult:
    """Return a file with current names, read at the first call: the jobs of a sweep compose the same files.

    Args:
        version: what changes when the file does.
        config_path: of the file in its source.
        load: reads it.
    """
    if version not in LOADED:
        LOADED[version] = _in_current_names(load(config_path), config_path)
    loaded = LOADED[version]
    return replace(loaded, config=copy.deepcopy(loaded.config))


def _in_current_names(loaded: ConfigResult, config_path: str) -> ConfigResult:
    """Return a loaded file with current names in its values, its defaults list and its sweeper's parameters."""
    if not isinstance(loaded.config, DictConfig):
        return loaded
    group = config_path.rpartition("/")[0]
    if group == "hydra" or group.startswith("hydra/"):
        return loaded
    content: dict[Any, Any] = OmegaConf.to_container(loaded.config, resolve=False)  # type: ignore[assignment]
    names, defaults = Names(), content.pop("defaults", None)
    package = loaded.header.get("package")
    path = [] if package == "_global_" else (package or group.replace("/", ".")).split(".")
    whole: Any = content
    for name in reversed([name for name in path if name]):
        whole = {name: whole}
    whole = rename(whole, Config, names)
    for name in [name for name in path if name]:
        whole = whole[name]
    whole = _rename_swept(whole, names)
    if isinstance(defaults, list):
        whole = {"defaults": [_rename_default(entry, group, names) for entry in defaults], **whole}
    if names.renamed:
        print_renamed(names)
        loaded.config = OmegaConf.create(whole)
    return loaded


def _rename_default(entry: Any, group: str, names: Names) -> Any:
    """Return an entry of a defaults list with the current name of its option."""
    if not isinstance(entry, dict) or len(entry) != 1:
        return entry
    key, option = next(iter(entry.items()))
    place = str(key).split()[-1].partition("@")[0]
    chosen = place[1:] if place.startswith("/") else f"{group}/{place}".strip("/")
    return {key: rename(option, None, names, chosen, options_field(chosen))}


def _rename_swept(content: Any, names: Names) -> Any:
    """Return a file's values with current names in the parameters of its sweeper."""
    swept = content
    for name in ("hydra", "sweeper", "params"):
        swept = swept.get(name) if isinstance(swept, dict) else None
    if isinstance(swept, dict):
        words = [rename_word(f"{key}={value}", names).partition("=") for key, value in swept.items()]
        content["hydra"]["sweeper"]["params"] = {key: value for key, _, value in words}
    return content
