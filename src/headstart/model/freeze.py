"""What of a network trains in a stage; the only file that sets `trainable`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from headstart.config import (
    Biases,
    Blocks,
    Everything,
    FirstBlocks,
    Fraction,
    From,
    HeadOnly,
    LastBlock,
    LastBlocks,
    LastLayers,
    Norms,
    TrainTarget,
)
from headstart.core.errors import HeadstartError
from headstart.model.network import Network
from headstart.model.parameter_kinds import has_bias, held_back, is_bias, is_norm
from headstart.model.targets import check_target

if TYPE_CHECKING:
    import keras


def layers_to_train(network: Network, train: TrainTarget) -> list[keras.layers.Layer]:
    """Return the layers of the backbone that a stage trains, in the backbone's order; the head always trains.

    Args:
        network: the classifier.
        train: the stage's `train`.

    Raises:
        HeadstartError: when it names or counts blocks or layers that the backbone does not have.
    """
    layers = network.backbone.layers
    names, blocks = [layer.name for layer in layers], [block.name for block in network.blocks]
    check_target(train, network.entry, backbone=network.backbone)
    weighted = [layer for layer in layers if layer.weights]
    match train:
        case HeadOnly():
            return []
        case Everything():
            return weighted
        case LastBlock():
            return _of_blocks(network, blocks[-1:])
        case LastBlocks(count):
            return _of_blocks(network, blocks[-count:])
        case FirstBlocks(count):
            return _of_blocks(network, blocks[:count])
        case Blocks(chosen):
            return _of_blocks(network, chosen)
        case Norms():
            return [layer for layer in layers if is_norm(layer)]
        case Biases():
            return [layer for layer in layers if has_bias(layer)]
        case Fraction(share):
            return weighted[len(weighted) - max(1, round(share * len(weighted))) :]
        case LastLayers(count):
            first = len(layers) - count
        case From(name):
            if name in blocks:
                return _of_blocks(network, blocks[blocks.index(name) :])
            first = names.index(name)
    return [layer for layer in layers[first:] if layer.weights]


def trains_everything(network: Network, train: TrainTarget) -> bool:
    """Return whether a stage trains the backbone in full.

    Args:
        network: the classifier.
        train: the stage's `train`.
    """
    if isinstance(train, Biases):
        return False
    return len(layers_to_train(network, train)) == sum(bool(layer.weights) for layer in network.backbone.layers)


def open_for_training(network: Network, train: TrainTarget) -> list[keras.layers.Layer]:
    """Set what trains, and return the layers of the backbone that do, in full or only their biases.

    The caller compiles afterwards: Keras reads `trainable` when a training step is traced.

    Args:
        network: the classifier.
        train: the stage's `train`.

    Raises:
        HeadstartError: as `layers_to_train`.
    """
    chosen = layers_to_train(network, train)
    names = {layer.name for layer in chosen}
    network.backbone.trainable = True  # reaches every layer below, so it comes first
    network.head.trainable = True
    for layer in network.backbone.layers:
        layer.trainable = layer.name in names
    if isinstance(train, Biases):
        for variable in network.backbone.trainable_variables:
            variable.trainable = is_bias(variable)  # until the next call, which sets the variables of every layer
    return chosen


def frozen_above(network: Network) -> list[keras.layers.Layer]:
    """Return the layers above the first trained one whose weights are frozen, all or in part.

    Args:
        network: the classifier, after `open_for_training`.
    """
    weighted = [layer for layer in network.backbone.layers if layer.weights]
    first = next((position for position, layer in enumerate(weighted) if layer.trainable), len(weighted))
    return [layer for layer in weighted[first:] if not layer.trainable or held_back(layer)]


def moving_weights(network: Network, batch_norm: str) -> list[int]:
    """Return the positions among the classifier's weights of those that may move in the stage that was opened.

    Args:
        network: the classifier, after `open_for_training`.
        batch_norm: the stage's policy; with `train` the statistics of layers that train may move.
    """
    moving = {id(variable) for variable in network.classifier.trainable_variables}
    for layer in network.head.layers:  # batch norm in a new head always learns its statistics
        moving.update(id(variable) for variable in layer.weights)
    if batch_norm == "train":
        for layer in network.backbone.layers:
            if layer.trainable:
                moving.update({id(variable) for variable in layer.weights} - set(map(id, held_back(layer))))
    return [position for position, variable in enumerate(network.classifier.weights) if id(variable) in moving]


def frozen_fingerprints(network: Network, batch_norm: str) -> dict[str, str]:
    """Return a digest of the bytes of every variable that must not move in the stage that was opened.

    Args:
        network: the classifier, after `open_for_training`.
        batch_norm: the stage's policy; with `train` the statistics of layers that train may move.
    """
    moving = set(moving_weights(network, batch_norm))
    return {
        f"{position}:{variable.path}": hashlib.sha256(variable.numpy().tobytes()).hexdigest()
        for position, variable in enumerate(network.classifier.weights)
        if position not in moving
    }


def check_unchanged(before: dict[str, str], after: dict[str, str], stage: str) -> None:
    """Raise when a variable that was frozen has other bytes than before the stage.

    Args:
        before: `frozen_fingerprints` before the stage.
        after: `frozen_fingerprints` after it.
        stage: its name, for the message.

    Raises:
        HeadstartError: naming the variables; this is a defect of headstart or Keras, never of the data.
    """
    moved = [name.partition(":")[2] for name in before if after.get(name) != before[name]]
    if moved:
        raise HeadstartError(
            f"Expected the frozen variables to be unchanged after stage {stage}. "
            f"Received: {len(moved)} changed, first {', '.join(moved[:3])}. Please report this with your configuration"
        )


def _of_blocks(network: Network, names: Collection[str]) -> list[keras.layers.Layer]:
    return [layer for block in network.blocks if block.name in names for layer in block.layers]
