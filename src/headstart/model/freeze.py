"""What of a network trains in a stage; the only file that sets `trainable`.

The grammar of a stage's `train`:

    head                 only the layers on top of the backbone
    all                  every layer
    last_block           the head and the backbone's last block
    {last_blocks: 2}     the head and the last two blocks
    {last_layers: 5}     the head and the last five layers of the backbone, those without weights counted too
    {from: mixed9}       the head and everything from this block or layer to the top
    {fraction: 0.3}      the head and the last 30 % of the backbone's layers that have weights
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError
from headstart.model.assemble import Network

if TYPE_CHECKING:
    import keras

GRAMMAR = "head, all, last_block, {last_blocks: 2}, {last_layers: 5}, {from: BLOCK}, {fraction: 0.3}"


def layers_to_train(network: Network, train: Any) -> list[keras.layers.Layer]:
    """Return the layers of the backbone that a stage trains, in the backbone's order; the head always trains.

    Args:
        network: the classifier.
        train: what the stage's `train` says, see the grammar above.

    Raises:
        HeadstartError: when it says something else, or names a block or layer that the backbone does not have.
    """
    layers = [layer for layer in network.backbone.layers if layer.weights]
    if train == "head":
        return []
    if train == "all":
        return layers
    if train == "last_block":
        return _from_block(network, -1)
    kind: Any = None
    value: Any = None
    if isinstance(train, dict) and len(train) == 1:
        ((kind, value),) = train.items()
    if kind == "last_blocks" and _is_count(value, len(network.blocks)):
        return _from_block(network, -value)
    if kind == "last_layers" and _is_count(value, len(network.backbone.layers)):
        return [layer for layer in network.backbone.layers[-value:] if layer.weights]
    if kind == "fraction" and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return layers[len(layers) - max(1, round(value * len(layers))) :]
    block_names = [block.name for block in network.blocks]
    if kind == "from":
        if value in block_names:
            return _from_block(network, block_names.index(value))
        names = [layer.name for layer in network.backbone.layers]
        if value in names:
            return [layer for layer in network.backbone.layers[names.index(value) :] if layer.weights]
    raise HeadstartError(
        f"Expected train to be one of {GRAMMAR}. Received: {train}. "
        f"The blocks of {network.entry.name} are {', '.join(block_names)}"
    )


def open_for_training(network: Network, train: Any) -> list[keras.layers.Layer]:
    """Set what trains, and return the layers of the backbone that do.

    The caller compiles afterwards: Keras reads `trainable` when a training step is traced.

    Args:
        network: the classifier.
        train: what the stage's `train` says.

    Raises:
        HeadstartError: as `layers_to_train`.
    """
    chosen = layers_to_train(network, train)
    names = {layer.name for layer in chosen}
    network.backbone.trainable = True  # reaches every layer below, so it comes first
    network.head.trainable = True
    for layer in network.backbone.layers:
        layer.trainable = layer.name in names
    return chosen


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
                moving.update(id(variable) for variable in layer.weights)
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


def _from_block(network: Network, first: int) -> list[keras.layers.Layer]:
    return [layer for block in network.blocks[first:] for layer in block.layers]


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
