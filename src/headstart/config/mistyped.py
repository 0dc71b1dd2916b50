"""Errors about words of the command line that are no overrides, with a tip that writes them as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.config.overrides import is_override, override_key, override_value, quote_value, swept_values
from headstart.config.suggestions import (
    HELP,
    folder_words,
    group_names,
    is_known_elsewhere,
    key_names,
    meant_by,
    missing_option,
    tip_for_key,
)
from headstart.core.errors import HeadstartError, closest_flag

OPTIONAL = ("experiment", "sweep", "scenario")  # groups without an option by default
BRACKETS = (("[", "]"), ("{", "}"), ("(", ")"))


def quote_options(words: Sequence[str]) -> list[str]:
    """Quote numbers and booleans that should be the name of an option, as in `freeze=10`, on which Hydra fails.

    Args:
        words: as on the command line.
    """
    named = [(override_key(word), override_value(word)) for word in words]
    return [
        f"{key}={quote_value(value)}" if key in group_names() and _is_no_name(key, value) else word
        for word, (key, value) in zip(words, named, strict=True)
    ]


def _is_no_name(group: str, value: str) -> bool:
    """Return whether Hydra reads the option of a group as something else than text."""
    if value == "null":
        return group not in OPTIONAL
    try:
        return value.lower() in ("true", "false") or bool(float(value) or True)
    except ValueError:
        return False


def find_mistyped(words: Sequence[str]) -> HeadstartError | None:
    """Return the error for the first word that is no override; None if there is none.

    Args:
        words: of the command line, without flags and their values.
    """
    position = next(
        (number for number, word in enumerate(words) if not override_key(word) or not is_override(word)), None
    )
    if position is None:
        return None
    word = words[position]
    before, after = words[:position], words[position + 1 :]
    if "=" not in word:
        return _without_value(word, before, after)
    key, value = override_key(word), override_value(word)
    if not key:
        return _separated(before, value, after)
    return _unreadable_value(word, key, value)


def find_several_values(words: Sequence[str]) -> HeadstartError | None:
    """Return the error for the first key with several values, which only a sweep may have; None if there is none.

    Args:
        words: of the command line of a single run.
    """
    for word in words:
        values = swept_values(word)
        if values:
            key = override_key(word)
            return HeadstartError(
                f"Expected one value of {key}. Received: {override_value(word)}",
                f"-m runs each of them: headstart train -m {word}",
            )
    return None


def unknown_flag(flag: str, words: Sequence[str], flags: Sequence[str]) -> HeadstartError:
    """Return the error for a flag that `headstart train` does not have.

    Args:
        flag: as on the command line, perhaps with `=VALUE`.
        words: the whole command line.
        flags: those that exist.
    """
    key, value = _parts_of_flag(flag, words)
    shown = flag.removesuffix(f"={value}") if value else flag
    known = _is_key(key) or is_known_elsewhere(key)
    similar = None if known else closest_flag(shown, flags)
    meant = as_override(flag, words)
    if similar:
        tip = f"did you mean {similar}?"
    elif meant:
        tip = f"did you mean {meant}? settings are written without dashes"
    else:
        tip = tip_for_key(key, value) or f"settings are written KEY=VALUE: {HELP} lists them"
    return HeadstartError(f"unknown flag '{shown}'", tip)


def as_override(flag: str, words: Sequence[str]) -> str | None:
    """Return the override that a flag may mean, such as `epochs=3` for `--epochs 3`; None if nothing is similar.

    Args:
        flag: as on the command line, perhaps with `=VALUE`.
        words: the whole command line.
    """
    key, value = _parts_of_flag(flag, words)
    return f"{key}={value or 'VALUE'}" if _is_key(key) else meant_by(key, value)


def _parts_of_flag(flag: str, words: Sequence[str]) -> tuple[str, str]:
    """Return the name of a flag as a key, and its value, which may be the next word."""
    name = flag.lstrip("-")
    key, value = override_key(name).replace("-", "_"), override_value(name)
    following = list(words[list(words).index(flag) + 1 :]) if flag in words else []
    if not value and following and not following[0].startswith("-") and "=" not in following[0]:
        value = following[0]
    return key, value


def _in_our_words(word: str) -> str:
    """Return a word such as `lr=0.1` with the name of the key here, if one is meant."""
    key = override_key(word)
    return word if _is_key(key) else meant_by(key, override_value(word)) or word


def _is_key(name: str) -> bool:
    return name in key_names() or name in group_names()


def _without_value(word: str, before: Sequence[str], after: Sequence[str]) -> HeadstartError:
    """Return the error for a word without an equals sign."""
    problem = f"Expected KEY=VALUE. Received: {word}"
    if after and after[0].startswith("="):  # seed = 3, seed =3
        value = after[0][1:] or " ".join(after[1:2]) or "VALUE"
        return HeadstartError(problem, f"write it without spaces: {word}={value}")
    if before and before[-1].endswith("="):  # seed= 3
        return HeadstartError(problem, f"write it without spaces: {before[-1]}{word}")
    follows = after[0] if after and "=" not in after[0] and not _is_key(after[0]) else ""
    if word in group_names() and not follows:
        return missing_option(word)
    if _is_key(word):
        return HeadstartError(problem, f"write it with an equals sign: {word}={follows or 'VALUE'}")
    if word in ("help", "train"):
        return HeadstartError(problem, HELP if word == "help" else "leave out the second train")
    if before and override_key(before[-1]).endswith((".root", ".csv", ".weights", ".name")):  # my photos
        whole = f"{override_value(before[-1])} {word}"
        return HeadstartError(problem, f"quote a value with spaces twice: '{override_key(before[-1])}=\"{whole}\"'")
    if Path(word).expanduser().is_dir():
        return HeadstartError(problem, f"did you mean {folder_words(word)}?")
    tip = tip_for_key(word, follows) if word[:1].isalpha() else ""
    return HeadstartError(problem, tip or f"{HELP} lists groups and keys")


def _separated(before: Sequence[str], value: str, after: Sequence[str]) -> HeadstartError:
    """Return the error for a value without a key, as in `seed = 3`, where Hydra reads the key as an override."""
    if before and "=" not in before[-1]:
        typed = value or (after[0] if after else "VALUE")
        return HeadstartError(
            f"Expected KEY=VALUE. Received: ={value}", f"write it without spaces: {before[-1]}={typed}"
        )
    return HeadstartError(f"Expected KEY=VALUE. Received: ={value}", f"{HELP} lists groups and keys")


def _unreadable_value(word: str, key: str, value: str) -> HeadstartError:
    """Return the error for an override whose value is not in Hydra's grammar."""
    problem = f"Expected a value of {key} that can be read. Received: {word}"
    first, *others = value.split(",")
    if any("=" in other for other in others):  # optimizer=adam,lr=0.1
        return HeadstartError(
            problem, f"write {' '.join([f'{key}={first}', *(_in_our_words(other) for other in others)])}, with spaces"
        )
    if key in group_names():
        return HeadstartError(problem, f"{HELP} {key} lists its options")
    if any(value.count(opening) != value.count(closing) for opening, closing in BRACKETS):
        return HeadstartError(problem, "close the bracket, or put the text in quotes")
    quoted = f"'{key}=\"{value}\"'"
    return HeadstartError(problem, f"put text with special characters in two pairs of quotes: {quoted}")
