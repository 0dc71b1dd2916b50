"""The split points of a backbone: layers after which a single tensor determines the rest of the network.

Keras layers remember every graph in which they were called, and splitting a backbone calls its layers again. So this
module follows the graph backwards from the backbone's own output tensor, and never uses `layer.output`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import keras


def find_split_points(backbone: keras.Model) -> list[keras.Operation]:
    """Return the layers whose output is the only tensor that later layers use, from input to output.

    Nearly all are layers; in backbones that add tensors with `+` (ConvNeXt), the sum is a Keras operation.

    Args:
        backbone: a functional model with one input and one output in which each layer is called once.

    Returns:
        Keras layers or operations without the input layer; the last one produces the backbone's output.
    """
    calls = _calls_by_operation(backbone)
    order = {id(operation): position for position, operation in enumerate(backbone.operations)}
    last_reader = {
        id(tensor): position
        for position, operation in enumerate(backbone.operations)  # in topological order
        for tensor in calls[id(operation)].input_tensors
    }
    last_reader[id(backbone.outputs[0])] = len(order)

    split_points = []
    needed_until = 0  # position of the last reader of all tensors so far
    for position, operation in enumerate(backbone.operations):
        outputs = calls[id(operation)].output_tensors
        if position > 0 and needed_until <= position and len(outputs) == 1:
            split_points.append(operation)
        needed_until = max(needed_until, *(last_reader[id(tensor)] for tensor in outputs))
    return split_points


def split_point_outputs(backbone: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return the output tensor of each split point by name, from input to output.

    Args:
        backbone: see `find_split_points`.
    """
    calls = _calls_by_operation(backbone)
    return {point.name: calls[id(point)].output_tensors[0] for point in find_split_points(backbone)}


def last_split_point_before(backbone: keras.Model, layer_name: str) -> keras.Operation | None:
    """Return the last split point before a layer; None if there is only the input before it.

    Args:
        backbone: see `find_split_points`.
        layer_name: name of one of the backbone's layers, such as the first trainable one.
    """
    names = [operation.name for operation in backbone.operations]
    position = names.index(layer_name)
    before = set(names[:position])
    return next((point for point in reversed(find_split_points(backbone)) if point.name in before), None)


def split_at(backbone: keras.Model, layer_name: str) -> tuple[keras.Model, keras.Model]:
    """Split a backbone after a split point into two models that share its variables.

    `suffix(prefix(images))` equals `backbone(images)`; after the last split point, the suffix is the identity.

    Args:
        backbone: see `find_split_points`.
        layer_name: name of a split point.

    Returns:
        The prefix, from images to the split point, and the suffix, from the split point to the backbone's output.

    Raises:
        HeadstartError: when the name is not that of a split point.
    """
    import keras

    tensors = split_point_outputs(backbone)
    if layer_name not in tensors:
        raise HeadstartError(
            f"Expected a split point of the backbone, a layer whose output alone determines the rest. "
            f"Received: {layer_name}"
        )
    tensor = tensors[layer_name]
    prefix = keras.Model(backbone.inputs[0], tensor, name="prefix")
    if tensor is backbone.outputs[0]:  # Keras cannot build a model from an intermediate tensor to itself
        features = keras.Input(tensor.shape[1:], dtype=tensor.dtype)
        return prefix, keras.Model(features, features, name="suffix")
    return prefix, keras.Model(tensor, backbone.outputs[0], name="suffix")


def _calls_by_operation(backbone: keras.Model) -> dict[int, Any]:
    """Return the call of each operation (by id) that belongs to this backbone."""
    calls: dict[int, Any] = {}
    pending = list(backbone.outputs)
    while pending:
        operation, call_index, _ = pending.pop()._keras_history
        if id(operation) not in calls:
            calls[id(operation)] = operation._inbound_nodes[call_index]
            pending.extend(calls[id(operation)].input_tensors)
    return calls
