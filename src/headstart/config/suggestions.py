"""Errors about unknown keys, options and values, with a tip that names what was probably meant."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from headstart.config.keys import keys_of
from headstart.config.other_tools import KEYS, NEEDLESS, value_here
from headstart.config.overrides import quote_value
from headstart.config.schema import Config
from headstart.core.errors import HeadstartError, closest_name, did_you_mean

HELP = "headstart train --help"
OF_HYDRA = "headstart train --hydra-help explains Hydra's own groups and keys"
RATE = "optimizer.learning_rate="
FEW = 8  # options that a tip lists itself
MOST = 3  # keys that a tip names
CHOSEN_ALONE = ("experiment", "sweep")  # groups of options without keys of the same name, or with other ones


def group_names() -> list[str]:
    """Return the groups that have options or keys."""
    fields = [item for item in dataclasses.fields(Config) if "meaning" not in item.metadata]
    return list(dict.fromkeys([*(item.name for item in fields), *CHOSEN_ALONE]))


@functools.cache
def key_names() -> tuple[str, ...]:
    """Return every key that a person may set, with `*` for the position of a stage."""
    return tuple(key.name for key in keys_of(Config) if key.field.default_factory is not dict)


def unknown_key(key: str, value: str = "", where: str = "") -> HeadstartError:
    """Return the error for a key that does not exist.

    Args:
        key: as on the command line, without `+`.
        value: as on the command line; empty if it is not known.
        where: text that locates the key, such as the file it comes from.
    """
    return HeadstartError(f"unknown key '{key}'{where}", tip_for_key(key, value) or _where_keys_are(key))


def tip_for_key(key: str, value: str = "") -> str:
    """Return a tip on what to write in place of an unknown key; empty if nothing is similar.

    Args:
        key: as on the command line, without `+` and dashes before it.
        value: as on the command line; empty if it is not known.
    """
    last = _last_part(key)
    if last in NEEDLESS:
        return NEEDLESS[last]
    meant = meant_by(key, value)
    if meant is None:
        return ""
    if meant in group_names():
        return f"did you mean {meant}? {HELP} {meant} lists its options and keys"
    more = f" A stage with a rate of its own takes freeze.stages.1.{meant}" if meant.startswith(RATE) else ""
    return f"did you mean {meant}?{more}"


def meant_by(key: str, value: str = "") -> str | None:
    """Return the override, or several with `or` between them, that an unknown key may mean; None if nothing is similar.

    Args:
        key: as on the command line, without `+` and dashes before it.
        value: as on the command line; empty if it is not known.
    """
    last = _last_part(key)
    if last in KEYS:
        return _in_our_words(KEYS[last], key, value)
    names = _similar_keys(key, last)
    if not names or names[0] in group_names():
        return names[0] if names else None
    return " or ".join(f"{name}={value or 'VALUE'}" for name in names)


def is_known_elsewhere(key: str) -> bool:
    """Return whether another tool has a key of this name, and headstart has not."""
    return key in KEYS or key in NEEDLESS


def _last_part(key: str) -> str:
    return key.rpartition(".")[2].lower().replace("-", "_")


def _in_our_words(template: str, key: str, value: str) -> str:
    """Return the override for a key of another tool, in the stage that the key names."""
    if template.startswith("backbone.weights"):
        value = {"true": "imagenet", "false": "none"}.get(value.lower(), value)
    stage = re.match(r"freeze\.stages\.\d+\.", key)
    within = stage[0] if stage is not None and template.startswith("optimizer.") else ""
    return f"{within}{template.format(value or 'VALUE')}"


def _similar_keys(key: str, last: str) -> list[str]:
    """Return the keys and groups that a wrong key may mean, at most `MOST`, the likeliest first."""
    place = re.search(r"\.(\d+)\.", key)
    stages = key.startswith("freeze.stages.") and place is not None
    known = [name.replace("*", place[1]) if stages and place else name for name in key_names()]
    known = [name for name in known if "*" not in name and (not stages or name.startswith("freeze.stages."))]
    same = [name for name in known if name.rpartition(".")[2] == last and last != "name"]
    if same:
        return sorted(same, key=lambda name: name.count("."))[:MOST]
    group = key.rpartition(".")[0]
    beside = [name for name in known if group and name.startswith(f"{group}.")]
    close = None if beside else closest_name(key, [*known, *group_names()])
    if close:
        return [close]
    ends = {name.rpartition(".")[2]: name for name in reversed(beside or known)}
    end = closest_name(last, ends)
    return [ends[end]] if end else []


def _where_keys_are(key: str) -> str:
    """Return a tip that names the help with the keys beside an unknown one."""
    group = key.partition(".")[0]
    return f"{HELP} {group} lists its keys" if group in group_names() else f"{HELP} lists groups and keys"


def unknown_option(group: str, name: str, options: Sequence[str]) -> HeadstartError:
    """Return the error for an option that a group does not have.

    Args:
        group: of the configuration, or of Hydra.
        name: the unknown option.
        options: the options of the group.
    """
    if not name:
        return missing_option(group, len(options))
    if group == "dataset" and Path(name).expanduser().is_dir():
        return HeadstartError(f"unknown dataset '{name}'", f"did you mean {folder_words(name)}?")
    meant = value_here(name, options) or closest_name(name, options)
    question = f"did you mean {group}={meant}? " if meant else ""
    listed = f"choose {_either(options)}" if len(options) <= FEW and not meant else _lists_all(group, len(options))
    return HeadstartError(f"unknown {group} '{name}'", f"{question}{listed}")


def missing_option(group: str, count: int = 0) -> HeadstartError:
    """Return the error for a group without an option.

    Args:
        group: of the configuration.
        count: number of its options; 0 if it is not known.
    """
    return HeadstartError(f"Expected {group}=NAME. Received: no name", _lists_all(group, count))


def _lists_all(group: str, count: int) -> str:
    if group not in group_names():
        return OF_HYDRA
    return f"{HELP} {group} lists all {count}" if count else f"{HELP} {group} lists the names"


def folder_words(folder: str) -> str:
    """Return the overrides that train on the images in a folder."""
    plain = all(letter.isalnum() or letter in "/._-~" for letter in folder)
    root = f"dataset.root={folder}" if plain else shlex.quote(f"dataset.root={quote_value(folder)}")
    return f"dataset=folder {root}"


def tip_for_value(value: object, valid: Iterable[str]) -> str:
    """Return a tip on what to write in place of a word that a key does not accept; empty if nothing is similar.

    Args:
        value: the wrong value.
        valid: the words that it accepts.
    """
    names = list(valid)
    here = value_here(str(value), names)
    return f"did you mean {here}?" if here else did_you_mean(value, names)


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
