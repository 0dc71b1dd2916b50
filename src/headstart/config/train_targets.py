"""Parsed values of `freeze.stages.*.train`: the layers that a stage trains.

The grammar:

    head                 only the layers on top of the backbone
    all                  every layer
    last_block           the head and the backbone's last block
    {last_blocks: 2}     the head and the last two blocks
    {last_layers: 5}     the head and the last five layers of the backbone, including layers without weights
    {from: mixed9}       the head and everything from this block or layer to the top
    {fraction: 0.3}      the head and the last 30 % of the backbone's layers that have weights

`headstart.model.targets` checks names against the blocks and layers of a backbone.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.core.errors import HeadstartError

GRAMMAR = "head, all, last_block, {last_blocks: 2}, {last_layers: 5}, {from: BLOCK}, {fraction: 0.3}"
KINDS = ("last_blocks", "last_layers", "from", "fraction")


@dataclass(frozen=True)
class HeadOnly:
    """Only the layers on top of the backbone."""


@dataclass(frozen=True)
class Everything:
    """Every layer."""


@dataclass(frozen=True)
class LastBlock:
    """The head and the backbone's last block."""


@dataclass(frozen=True)
class LastBlocks:
    """The head and the last blocks of the backbone."""

    count: int  # at least 1


@dataclass(frozen=True)
class LastLayers:
    """The head and the last layers of the backbone, including layers without weights."""

    count: int  # at least 1


@dataclass(frozen=True)
class From:
    """The head and everything from a block or layer of the backbone to the top."""

    name: str


@dataclass(frozen=True)
class Fraction:
    """The head and a share of the backbone's layers, counted from the top."""

    share: float  # of the layers with weights, above 0 and at most 1


TrainTarget = HeadOnly | Everything | LastBlock | LastBlocks | LastLayers | From | Fraction
WORDS: dict[str, TrainTarget] = {"head": HeadOnly(), "all": Everything(), "last_block": LastBlock()}


def parse_target(train: Any, key: str = "train") -> TrainTarget:
    """Return the parsed value of a stage's `train`.

    Args:
        train: value in YAML, see the grammar above.
        key: key for the error message.

    Raises:
        HeadstartError: for an invalid value, with a suggestion.
    """
    if isinstance(train, str) and train in WORDS:
        return WORDS[train]
    kind: Any = None
    value: Any = None
    if isinstance(train, dict) and len(train) == 1:
        kind, value = next(iter(train.items()))
    if kind == "last_blocks" and _is_count(value):
        return LastBlocks(value)
    if kind == "last_layers" and _is_count(value):
        return LastLayers(value)
    if kind == "from" and isinstance(value, str):
        return From(value)
    if kind == "fraction" and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return Fraction(value)
    raise HeadstartError(f"Expected {key} to be one of {GRAMMAR}. Received: {train}{_hint(train)}")


def write_target(target: TrainTarget) -> Any:
    """Return a target as plain values for YAML.

    Args:
        target: result of `parse_target`; anything else is returned unchanged.
    """
    match target:
        case HeadOnly() | Everything() | LastBlock():
            return next(word for word, known in WORDS.items() if known == target)
        case LastBlocks(count):
            return {"last_blocks": count}
        case LastLayers(count):
            return {"last_layers": count}
        case From(name):
            return {"from": name}
        case Fraction(share):
            return {"fraction": share}
        case _:
            return target


def did_you_mean(received: str, valid: Sequence[str]) -> str:
    """Return the end of an error message with the closest valid name, or empty text.

    Args:
        received: the wrong name.
        valid: the valid names.
    """
    similar = difflib.get_close_matches(received, valid, n=1)
    return f"; did you mean {similar[0]}?" if similar else ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _hint(train: Any) -> str:
    """Return the end of an error message with a suggestion, or empty text."""
    if isinstance(train, str):
        numbered = any(letter.isdigit() for letter in train)  # as most blocks and layers are
        similar = "" if numbered else did_you_mean(train, list(WORDS))
        return similar or f"; did you mean {{from: {train}}}?"
    if isinstance(train, dict) and len(train) == 1:
        kind = str(next(iter(train)))
        return "" if kind in KINDS else did_you_mean(kind, KINDS)
    return ""
