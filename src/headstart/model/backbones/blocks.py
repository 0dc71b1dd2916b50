"""The named blocks of a backbone: the stages in its paper, in order from input to output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.model.split_points import last_split_point_before

if TYPE_CHECKING:
    import keras

    from headstart.model.backbones.spec import BackboneEntry

STEM = "stem"


@dataclass(frozen=True)
class Block:
    """Consecutive layers that are trained or frozen together."""

    name: str
    layers: tuple[keras.layers.Layer, ...]  # the layers with weights, in the backbone's order

    @property
    def parameters(self) -> int:
        """Number of parameters, including the moving statistics of batch norms."""
        return sum(layer.count_params() for layer in self.layers)


def find_blocks(backbone: keras.Model, entry: BackboneEntry) -> list[Block]:
    """Return the blocks from input to output; every layer with weights is in exactly one block.

    Args:
        backbone: a model from `build_backbone`.
        entry: the backbone's entry.
    """
    layers = backbone.layers
    matches = [re.match(entry.blocks.pattern, layer.name) for layer in layers]
    named = [match.expand(entry.blocks.name) if match else None for match in matches]
    names = _fill_backward(backbone, named) if entry.blocks.closes else _fill_forward(named)

    members: dict[str, list[keras.layers.Layer]] = {}
    for layer, name in zip(layers, names, strict=True):
        if layer.weights:
            members.setdefault(name, []).append(layer)
    return [Block(name, tuple(layers)) for name, layers in members.items()]


def _fill_forward(names: list[str | None]) -> list[str]:
    """Give each layer without a name the previous name."""
    current = STEM
    return [current := name or current for name in names]


def _fill_backward(backbone: keras.Model, names: list[str | None]) -> list[str]:
    """Give each layer without a name the next name; the first block begins after the last split point before it."""
    current = next(name for name in reversed(names) if name)
    filled = [current := name or current for name in reversed(names)][::-1]
    first_named = next(position for position, name in enumerate(names) if name)
    stem_end = last_split_point_before(backbone, backbone.layers[first_named].name)
    stem_length = backbone.layers.index(stem_end) + 1
    return [STEM] * stem_length + filled[stem_length:]
