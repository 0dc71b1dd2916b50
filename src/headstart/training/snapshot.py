"""Everything that changes during training, collected as arrays and restored from them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from headstart.core.errors import HeadstartError
from headstart.model.network import Network
from headstart.training.checkpoint import TrainingState
from headstart.training.history import BestEpoch


def collect_arrays(
    network: Network, moved: set[int], best: BestEpoch, model: keras.Model | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays that the next batch depends on, apart from configuration and data.

    Args:
        network: the classifier.
        moved: positions among its weights of those that any stage so far has changed.
        best: the best epoch so far.
        model: the compiled model that is fitted; None between two stages.
    """
    weights = network.classifier.weights
    arrays = {f"weights/{position}": weights[position].numpy() for position in sorted(moved)}
    if best.weights is not None:
        arrays |= {f"best/{position}": best.weights[position] for position in sorted(moved)}
    # "chance" is part of the file format, which earlier versions share.
    arrays |= {f"chance/{number}": state.numpy() for number, state in enumerate(_seed_states(network, model))}
    if model is not None:
        arrays |= _numbered("optimizer", model.optimizer.variables)
    return arrays


def collect_metrics(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the sums that the metrics of an epoch hold so far."""
    return _numbered("metrics", model.metrics_variables)


def restore_network(network: Network, state: TrainingState, moved: set[int], best: BestEpoch) -> None:
    """Restore the weights and the best epoch of a newly built network.

    Args:
        network: the classifier as the run's configuration builds it.
        state: with the arrays of `collect_arrays`.
        moved: as in `collect_arrays`.
        best: is filled.

    Raises:
        HeadstartError: when the arrays belong to another network.
    """
    weights = network.classifier.weights
    positions = sorted(moved)
    _assign([weights[position] for position in positions], state.arrays_of("weights"), "weights")
    best.record = state.best
    if best.record is not None:
        best.weights = network.classifier.get_weights()
        for position in positions:
            best.weights[position] = state.arrays[f"best/{position}"]


def restore_optimizer(network: Network, state: TrainingState, model: keras.Model) -> None:
    """Restore the optimizer's variables and the seeds of dropout for the fit of a stage.

    Args:
        network: the classifier.
        state: with the arrays of `collect_arrays`.
        model: the model that is fitted, compiled as before.

    Raises:
        HeadstartError: when the arrays belong to another network.
    """
    within_fit = any(name.startswith("optimizer/") for name in state.arrays)  # else it was saved before the fit began
    _assign(_seed_states(network, model if within_fit else None), state.arrays_of("chance"), "seed generators")
    if within_fit:
        _assign(model.optimizer.variables, state.arrays_of("optimizer"), "variables of the optimizer")


def restore_metrics(model: keras.Model, state: TrainingState) -> None:
    """Restore the sums that the metrics of the epoch held."""
    _assign(model.metrics_variables, state.arrays_of("metrics"), "variables of the metrics")


def _seed_states(network: Network, model: keras.Model | None) -> list[Any]:
    """Return the variables that are not weights, each once: the states of seed generators."""
    found: dict[int, Any] = {}
    for one in (network.classifier, *([model] if model is not None else [])):
        weights = {id(weight) for weight in one.weights}
        found |= {id(variable): variable for variable in one.variables if id(variable) not in weights}
    return list(found.values())


def _numbered(kind: str, variables: list[Any]) -> dict[str, np.ndarray]:
    return {f"{kind}/{number}": variable.numpy() for number, variable in enumerate(variables)}


def _assign(variables: list[Any], values: list[np.ndarray], what: str) -> None:
    shapes = [tuple(variable.shape) for variable in variables], [value.shape for value in values]
    if shapes[0] != shapes[1]:
        raise HeadstartError(
            f"Expected a checkpoint with the {len(variables)} {what} of this network. Received: {len(values)}, or "
            "other shapes; another version wrote it"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
