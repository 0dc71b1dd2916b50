"""Turn errors of Hydra and OmegaConf into errors of headstart, which name the key and what it accepts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import ListConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from headstart.config.accepted import accepted_values
from headstart.config.keys import Key, keys_of
from headstart.config.mistyped import find_mistyped, find_several_values
from headstart.config.overrides import find_override_value, override_key, override_value
from headstart.config.schema import Config
from headstart.config.suggestions import (
    HELP,
    OF_HYDRA,
    group_names,
    key_names,
    tip_for_key,
    unknown_key,
    unknown_option,
)
from headstart.core.errors import HeadstartError, did_you_mean


def explain(error: BaseException, words: Sequence[str] = ()) -> HeadstartError:
    """Return an error of Hydra or OmegaConf as one of headstart.

    Args:
        error: the exception.
        words: the overrides that it is about, without flags.
    """
    if isinstance(error, HeadstartError):
        return error
    return (
        find_mistyped(words)
        or _unknown_option(error)
        or _of_a_key(error, words)
        or _several_values(error, words)
        or _of_hydra(error, words)
    )


def _unknown_option(error: BaseException) -> HeadstartError | None:
    """Return the error for an option that its group does not have; None for another error."""
    for cause in _causes(error):
        options = getattr(cause, "options", None)
        if options:
            group, _, name = str(getattr(cause, "missing_cfg_file", "")).rpartition("/")
            return unknown_option(group or "option", name, sorted(options))
    return None


def _of_a_key(error: BaseException, words: Sequence[str]) -> HeadstartError | None:
    """Return the error about a key or its value; None for another error."""
    first_line = str(error).splitlines()[0].strip()
    where = f" in {first_line.split(':')[0].removeprefix('In ')}" if first_line.startswith("In '") else ""
    cause = next((cause for cause in _causes(error) if isinstance(cause, OmegaConfBaseException)), None)
    if cause is None or not cause.full_key:
        return None
    key = re.sub(r"\[(\d+)\]", r".\1", str(cause.full_key))
    if dataclasses.is_dataclass(cause.object_type) and cause.key is not None:
        schema: Any = cause.object_type
        names = [item.name for item in dataclasses.fields(schema)]
        if cause.key not in names:
            if key.startswith("hydra."):
                return HeadstartError(f"unknown key '{key}'", did_you_mean(str(cause.key), names) or OF_HYDRA)
            if where or (schema is not Config and key.partition(".")[0] not in group_names()):  # a file, within a value
                listed = f"its group has the keys {', '.join(names)}"
                return HeadstartError(f"unknown key '{key}'{where}", did_you_mean(str(cause.key), names) or listed)
            return unknown_key(key, find_override_value(words, key) or "", where)
    if isinstance(cause.parent_node, ListConfig) and str(cause.key).isdigit():
        return _no_such_stage(cause.parent_node, key, words) if cause.value == {} else _no_group(key, cause.value)
    item = next((known for known in keys_of(Config) if known.name == re.sub(r"\.\d+\.", ".*.", key)), None)
    message = str(cause.msg or cause).splitlines()[0]
    if missing := re.match(r"Interpolation key '(.+)' not found", message):
        return HeadstartError(f"unknown key '{missing[1]}' in the value of {key}{where}", tip_for_key(missing[1]))
    if "nterpolation" in message:
        return HeadstartError(f"{key}: {message}{where}")
    if item is None:
        return _no_group(key, cause.value, where)
    if isinstance(cause, MissingMandatoryValue):
        return HeadstartError(f"Expected {key} to have a value. Received: nothing{where}", _about(key))
    return _wrong_type(item, key, cause.value, where)


def _wrong_type(item: Key, key: str, value: object, where: str) -> HeadstartError:
    """Return the error for a value of another type than its key's."""
    if isinstance(value, dict) and not value:  # seed.x=1
        return HeadstartError(f"Expected {key} to be a value. Received: a key below it{where}", _about(key))
    shown = "null" if value is None else "nothing" if value == "" else value
    whole = isinstance(value, float) and value.is_integer() and item.kind in (int, int | None)
    tip = f"write {key}={int(value)}" if whole else _about(key)  # type: ignore[call-overload]
    return HeadstartError(
        f"Expected {key} to be {accepted_values(item, separator=' or ')}. Received: {shown}{where}", tip
    )


def _no_such_stage(stages: ListConfig, key: str, words: Sequence[str]) -> HeadstartError:
    """Return the error for a stage that the schedule does not have."""
    count = len(stages)
    chosen = find_override_value(words, "freeze")
    schedule = f"freeze={chosen}" if chosen else "the freeze schedule"
    named = " and ".join(f"freeze.stages.{number} ({stage.name})" for number, stage in enumerate(stages))
    more = "; epochs=N sets the epochs of all stages" if any(f"{key}.epochs" in word for word in words) else ""
    return HeadstartError(
        f"Expected a stage of {schedule}, which has {count}. Received: {key}",
        f"{'it is' if count == 1 else 'they are'} {named}{more}",
    )


def _no_group(key: str, value: object, where: str = "") -> HeadstartError:
    """Return the error for a single value in place of keys or stages."""
    group = key.partition(".")[0]
    tip = OF_HYDRA if group == "hydra" else f"{HELP} {group} lists them"
    if f"{key}.name" in key_names():
        tip = f"did you mean {key}.name={value}?"
    return HeadstartError(f"Expected {key} to have keys of its own. Received: {value}{where}", tip)


def _several_values(error: BaseException, words: Sequence[str]) -> HeadstartError | None:
    return find_several_values(words) if "Ambiguous value" in str(error) else None


def _of_hydra(error: BaseException, words: Sequence[str]) -> HeadstartError:
    """Return the error for what only Hydra knows of, as on one line."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if place := re.match(r"Additional config directory '(.*)' not found", text):
        return HeadstartError(f"Expected --config-dir to be a directory. Received: {place[1]}")
    if named := re.match(r"Cannot find primary config '(.*?)'", text):
        return HeadstartError(
            f"Expected --config-name to be a file of --config-dir. Received: {named[1]}",
            "without --config-name headstart uses its own defaults",
        )
    deleted = re.match(r"Could not delete.*?'([\w./@]+)'", text)
    if deleted:
        return HeadstartError(
            f"Expected a value that can be left out. Received: ~{deleted[1]}",
            f"every key has a value; {deleted[1]}=null if it accepts null: {HELP} {deleted[1]}",
        )
    for word in words:
        key = override_key(word)
        if text == f"Error merging override {word}":
            return HeadstartError(f"Expected {key} to have its own keys and values. Received: {word}", _about(key))
        if f"'{key}@" in text:
            return HeadstartError(f"Expected {key} without @. Received: {word}", "each group has one place")
        if word.startswith("+") and f" {key}." in text:
            return HeadstartError(f"Expected {key} without +. Received: {word}", f"write {word.lstrip('+')}")
        if "Could not override" in text and f"'{key}'" in text:
            return unknown_key(key, override_value(word))
    return HeadstartError(text)


def _about(key: str) -> str:
    """Return a tip that names the help of a key."""
    return f"{HELP} {key} explains it"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
