"""Parsed values of `freeze.stages.*.train`: the layers that a stage trains.

The grammar:

    head                 only the layers on top of the backbone
    all                  every layer
    last_block           the head and the backbone's last block
    {last_blocks: 2}     the head and the last two blocks
    {last_layers: 5}     the head and the last five layers of the backbone, including layers without weights
    {from: mixed9}       the head and everything from this block or layer to the top
    {fraction: 0.3}      the head and the last 30 % of the backbone's layers that have weights
    {blocks: [block3]}   the head and these blocks of the backbone, any set of them
    {first_blocks: 2}    the head and the first two blocks of the backbone; its stem, if it has one, is the first
    {batch_norm: true}   the head and the scale and shift of every batch norm and layer norm of the backbone
    {biases: true}       the head and every bias of the backbone, the shifts of its norms among them

`headstart.model.targets` checks names against the blocks and layers of a backbone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from headstart.core.errors import HeadstartError, did_you_mean

GRAMMAR = (
    "head, all, last_block, {last_blocks: 2}, {last_layers: 5}, {from: BLOCK}, {fraction: 0.3}, {blocks: [BLOCK]}, "
    "{first_blocks: 2}, {batch_norm: true}, {biases: true}"
)
KINDS = ("last_blocks", "last_layers", "from", "fraction", "blocks", "first_blocks", "batch_norm", "biases")


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


@dataclass(frozen=True)
class Blocks:
    """The head and a set of blocks of the backbone (surgical fine-tuning: Lee et al., ICLR 2023)."""

    names: tuple[str, ...]  # sorted, each once: equal sets are equal targets


@dataclass(frozen=True)
class FirstBlocks:
    """The head and the first blocks of the backbone, from the images on."""

    count: int  # at least 1


@dataclass(frozen=True)
class Norms:
    """The head and the scale and shift of every norm of the backbone (Mudrakarta et al., ICLR 2019)."""


@dataclass(frozen=True)
class Biases:
    """The head and every bias of the backbone, the shifts of its norms among them (BitFit: Ben Zaken et al., 2022)."""


TrainTarget = (
    HeadOnly
    | Everything
    | LastBlock
    | LastBlocks
    | LastLayers
    | From
    | Fraction
    | Blocks
    | FirstBlocks
    | Norms
    | Biases
)
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
    match kind:
        case "last_blocks" if _is_count(value):
            return LastBlocks(value)
        case "last_layers" if _is_count(value):
            return LastLayers(value)
        case "from" if isinstance(value, str):
            return From(value)
        case "fraction" if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return Fraction(value)
        case "blocks" if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
            return Blocks(tuple(sorted(set(value))))
        case "first_blocks" if _is_count(value):
            return FirstBlocks(value)
        case "batch_norm" if value is True:
            return Norms()
        case "biases" if value is True:
            return Biases()
    raise HeadstartError(f"Expected {key} to be one of {GRAMMAR}. Received: {train}", _tip(train))


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
        case Blocks(names):
            return {"blocks": list(names)}
        case FirstBlocks(count):
            return {"first_blocks": count}
        case Norms():
            return {"batch_norm": True}
        case Biases():
            return {"biases": True}
        case _:
            return target


def target_text(written: Any) -> str:
    """Return a target as written on the command line.

    Args:
        written: result of `write_target`.
    """
    return written if isinstance(written, str) else yaml.safe_dump(written, default_flow_style=True).strip()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _tip(train: Any) -> str:
    """Return what was probably meant; empty if nothing is similar."""
    if isinstance(train, str):
        numbered = any(letter.isdigit() for letter in train)  # as most blocks and layers are
        similar = "" if numbered else did_you_mean(train, list(WORDS))
        return similar or f"did you mean {{from: {train}}}?"
    if isinstance(train, dict) and len(train) == 1:
        kind = str(next(iter(train)))
        return "" if kind in KINDS else did_you_mean(kind, KINDS)
    return ""
