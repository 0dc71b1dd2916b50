"""Parse overrides (`KEY=VALUE`) with Hydra's parser; no other module parses them."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from headstart.config.former_names import Names, fields_by_any_name, options_field, print_renamed, rename
from headstart.config.keys import field_of, member_of
from headstart.config.schema import Config
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override

Words = Sequence[str]


def parse_overrides(words: Iterable[str]) -> list[Override]:
    """Return the parsed overrides; while Hydra is initialized, `glob(*)` expands to its options.

    Args:
        words: as on the command line, or `key=value` of a sweeper's parameters.

    Raises:
        HydraException: for an invalid override.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None
    return OverridesParser.create(loader).parse_overrides(list(words))


def is_override(word: str) -> bool:
    """Return whether Hydra can parse a word as an override.

    Args:
        word: as on the command line.
    """
    return _parse(word) is not None


def override_key(word: str) -> str:
    """Return the key or group of an override, without `+`, `~` or `@package`.

    Args:
        word: as on the command line; if Hydra cannot parse it, the text before the equals sign is returned.
    """
    parsed = _parse(word)
    return parsed.key_or_group if parsed else word.partition("=")[0].lstrip("+~")


def override_value(word: str) -> str:
    """Return the value of an override as text, without quotes.

    Args:
        word: as on the command line.
    """
    parsed = _parse(word)
    if parsed and not parsed.is_sweep_override() and isinstance(parsed.value(), str):
        return str(parsed.value())
    return word.partition("=")[2].strip("'\"")


def swept_values(word: str) -> list[str]:
    """Return the values of an override that sweeps, as text; empty if it does not sweep.

    Args:
        word: as on the command line.
    """
    parsed = _parse(word)
    return list(parsed.sweep_string_iterator()) if parsed and parsed.is_discrete_sweep() else []


def find_override_value(words: Words, key: str) -> str | None:
    """Return the last value of a key, as text; None if no override sets it.

    Args:
        words: as on the command line.
        key: of the configuration.
    """
    values = [override_value(word) for word in words if "=" in word and override_key(word) == key]
    return values[-1] if values else None


def select_overrides(words: Words, keys: Collection[str]) -> list[str]:
    """Return the overrides of some keys.

    Args:
        words: as on the command line.
        keys: of the configuration.
    """
    return [word for word in words if override_key(word) in keys]


def drop_overrides(words: Words, keys: Collection[str]) -> list[str]:
    """Return the overrides of all but some keys.

    Args:
        words: as on the command line.
        keys: of the configuration.
    """
    return [word for word in words if override_key(word) not in keys]


def drop_group(words: Words, group: str) -> list[str]:
    """Return the overrides that do not concern a group: neither its option nor any of its keys.

    Args:
        words: as on the command line.
        group: of the configuration.
    """
    return [word for word in words if override_key(word).partition(".")[0] != group]


def quote_value(value: object) -> str:
    """Return a value in quotes for an override, with quotes and the backslashes before them escaped.

    Source: https://hydra.cc/docs/advanced/override_grammar/basic/#quoted-values

    Args:
        value: converted to text first.
    """
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(value))
    return "'" + re.sub(r"(\\+)$", r"\1\1", text) + "'"


def unresolved_overrides(overrides: Any) -> list[str]:
    """Return Hydra's record of the overrides, without resolving `${...}` in them.

    Args:
        overrides: `hydra.overrides.task` or `hydra.overrides.hydra`.
    """
    return OmegaConf.to_container(overrides, resolve=False)  # type: ignore[return-value]


def expand_home(words: Words) -> list[str]:
    """Expand `~` in `key=~/photos`, which neither the shell nor Hydra does.

    Args:
        words: as on the command line.
    """
    return [
        re.sub(r"^([\w.]+=)(~[\w-]*)", lambda found: found[1] + os.path.expanduser(found[2]), word) for word in words
    ]


def expect_quoted_text(words: Words) -> None:
    """Raise for unquoted text that Hydra reads as a number and changes, such as 1.10 to 1.1.

    Args:
        words: as on the command line, for one run or a sweep.

    Raises:
        HeadstartError: naming the key, and how to quote the text.
    """
    for word in words:
        key, _, values = word.lstrip("+").partition("=")
        for typed in values.split(",") if _takes_text(key) else []:
            parsed = _parse(f"key={typed}")  # None for a fragment of a quoted or bracketed value
            read = parsed.value() if parsed else None
            if isinstance(read, bool | int | float) and str(read) != typed:
                raise HeadstartError(
                    f"Expected {key} to be text. Received: {typed}, which Hydra reads as {read}",
                    f"write it in two pairs of quotes, '{key}=\"{typed}\"'",
                )


def use_current_names(words: Words) -> list[str]:
    """Return overrides with former names of keys, values and options replaced by current ones, and print a note.

    Args:
        words: as on the command line.
    """
    names = Names()
    renamed = [rename_word(word, names) for word in words]
    print_renamed(names)
    return renamed


def use_former_names(words: Words) -> list[str]:
    """Return overrides with former names, for identifiers that earlier versions derived from overrides.

    Args:
        words: as on the command line.
    """
    return [rename_word(word, Names(back=True)) for word in words]


def former_keys(keys: Sequence[str]) -> list[str]:
    """Return the former names of keys.

    Args:
        keys: keys of the configuration.
    """
    return [_rename_key(key, Names(back=True))[0] for key in keys]


def rename_word(word: str, names: Names) -> str:
    """Return an override with its names replaced.

    Args:
        word: as on the command line; returned unchanged if Hydra cannot parse it.
        names: the direction; records the replaced names.
    """
    parsed = _parse(word)
    if parsed is None:
        return word
    given = Names(names.back)
    key, kind, item = _rename_key(parsed.key_or_group, given)
    group = dataclasses.is_dataclass(kind) and "." not in key
    for value in _values(parsed):
        rename(value, kind, given, key, options_field(key) if group and isinstance(value, str) else item)
    if not given.renamed:
        return word
    names.renamed.update(given.renamed)
    head, equals, text = word.partition("=")
    for former, current in given.renamed.items():
        if former != parsed.key_or_group:
            text = _replace_name(text, re.split(r"[.=]", former)[-1], re.split(r"[.=]", current)[-1])
    return f"{head.replace(parsed.key_or_group, key, 1)}{equals}{text}"


def _rename_key(key: str, names: Names) -> tuple[str, Any, dataclasses.Field | None]:
    """Return a key with its names replaced, its type and its field; the type of an unknown key is None."""
    kind: Any = Config
    item: dataclasses.Field | None = None
    parts = []
    for part in key.split("."):
        if part.isdigit() or kind is None:
            parts.append(part)
            kind = member_of(kind) or kind
            continue
        item = fields_by_any_name(kind).get(part)
        parts.append(names.of_key(item) if item else part)
        kind = typing.get_type_hints(kind)[item.name] if item else None
    renamed = ".".join(parts)
    if renamed != key:
        names.renamed[key] = renamed
    return renamed, kind, item


def _values(parsed: Override) -> list[Any]:
    """Return the value of an override, or all values of a sweep."""
    from hydra.core.override_parser.types import ChoiceSweep

    value = parsed.value()
    if isinstance(value, ChoiceSweep):
        return [getattr(member, "text", member) for member in value.list]
    return [value]


def _replace_name(text: str, former: str, current: str) -> str:
    """Return the value of an override with a name replaced wherever it is a whole word."""
    return re.sub(rf"(?<![\w./-]){re.escape(former)}(?![\w./-])", current, text)


def _takes_text(key: str) -> bool:
    """Return whether a key takes arbitrary text."""
    item = field_of(Config, key)
    return item is not None and item.type in ("str", "str | None")


@functools.lru_cache(10_000)  # the jobs of a sweep share most overrides
def _parse(word: str) -> Override | None:
    """Return a parsed override; None if it is invalid."""
    from hydra.errors import HydraException

    try:
        return _parser().parse_override(word)
    except (HydraException, RecursionError):  # Hydra reports it later
        return None


@functools.cache
def _parser() -> OverridesParser:
    from hydra.core.override_parser.overrides_parser import OverridesParser  # slow import

    return OverridesParser.create()
