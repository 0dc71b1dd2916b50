"""What a stage's `train` says, checked before an image is read and without TensorFlow.

The grammar:

    head                 only the layers on top of the backbone
    all                  every layer
    last_block           the head and the backbone's last block
    {last_blocks: 2}     the head and the last two blocks
    {last_layers: 5}     the head and the last five layers of the backbone, those without weights counted too
    {from: mixed9}       the head and everything from this block or layer to the top
    {fraction: 0.3}      the head and the last 30 % of the backbone's layers that have weights
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.config import Config
from headstart.core.errors import HeadstartError
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.spec import BackboneEntry

GRAMMAR = "head, all, last_block, {last_blocks: 2}, {last_layers: 5}, {from: BLOCK}, {fraction: 0.3}"
WORDS = ("head", "all", "last_block")
KINDS = ("last_blocks", "last_layers", "from", "fraction")
FEWEST_LAYERS = 7  # of all backbones, the input counted


@dataclass(frozen=True)
class Target:
    """What a stage trains."""

    kind: str  # one of WORDS or KINDS
    value: Any = None  # a number of blocks or layers, the name of a block or layer, a fraction


def parse_target(train: Any, entry: BackboneEntry, key: str = "train", layers: Sequence[str] | None = None) -> Target:
    """Return what a stage's `train` says.

    Args:
        train: its value, see the grammar above.
        entry: of the backbone.
        key: for the message.
        layers: names of the backbone's layers, from input to output; None where it is not built, and a name that is
            no block's may be a layer's.

    Raises:
        HeadstartError: when it says something else, or names a block or layer that the backbone does not have.
    """
    blocks = entry.blocks.blocks
    if isinstance(train, str) and train in WORDS:
        return Target(train)
    kind, value = next(iter(train.items())) if isinstance(train, dict) and len(train) == 1 else (None, None)
    valid = {
        "last_blocks": _is_count(value, len(blocks)),
        "last_layers": _is_count(value, None if layers is None else len(layers)),
        "from": isinstance(value, str) and (layers is None or value in (*blocks, *layers)),
        "fraction": isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1,
    }
    if isinstance(kind, str) and valid.get(kind):
        return Target(kind, value)
    raise HeadstartError(
        f"Expected {key} to be one of {GRAMMAR}. Received: {train}. "
        f"The blocks of {entry.name} are {', '.join(blocks)}{_hint(train, (*blocks, *(layers or ())))}"
    )


def check_targets(config: Config) -> None:
    """Raise for the first stage whose `train` is not valid, as far as that is known without building the backbone.

    Args:
        config: the resolved configuration.

    Raises:
        HeadstartError: naming the stage's key and the valid values.
    """
    entry = get_entry(config.backbone.name)
    for position, stage in enumerate(config.freeze.stages):
        parse_target(stage.train, entry, f"freeze.stages.{position}.train")


def names_a_layer(config: Config) -> bool:
    """Return whether a stage names or counts layers, which only the backbone itself can tell.

    Args:
        config: the resolved configuration, see `check_targets`.
    """
    entry = get_entry(config.backbone.name)
    targets = [parse_target(stage.train, entry) for stage in config.freeze.stages]
    return any(
        (target.kind == "from" and target.value not in entry.blocks.blocks)
        or (target.kind == "last_layers" and target.value > FEWEST_LAYERS)
        for target in targets
    )


def check_layer_names(config: Config, image_size: int) -> None:
    """Raise for the first stage that names or counts layers which the backbone does not have; builds it to look.

    Args:
        config: the resolved configuration, see `names_a_layer`.
        image_size: side of the square input in pixels.

    Raises:
        HeadstartError: naming the stage's key and the valid values.
    """
    import keras

    from headstart.model.backbones.registry import build_backbone

    entry = get_entry(config.backbone.name)
    layers = [layer.name for layer in build_backbone(entry.name, "none", image_size).layers]
    keras.backend.clear_session()  # so that the layers of the network itself get the same names
    for position, stage in enumerate(config.freeze.stages):
        parse_target(stage.train, entry, f"freeze.stages.{position}.train", layers)


def _is_count(value: Any, most: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1 and (most is None or value <= most)


def _hint(train: Any, names: Sequence[str]) -> str:
    """Return what was probably meant."""
    if isinstance(train, str):
        if train in names:
            return f"; did you mean {{from: {train}}}?"
        return _did_you_mean(train, WORDS)
    if isinstance(train, dict) and len(train) == 1:
        kind, value = next(iter(train.items()))
        if kind == "from":
            return _did_you_mean(str(value), names)
        if kind not in KINDS:
            return _did_you_mean(str(kind), KINDS)
    return ""


def _did_you_mean(received: str, valid: Sequence[str]) -> str:
    similar = difflib.get_close_matches(received, valid, n=1)
    return f"; did you mean {similar[0]}?" if similar else ""
