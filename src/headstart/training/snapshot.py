"""What training consists of at a moment, as arrays, and putting it back."""

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
    """Return what the next batch depends on beside configuration and data.

    Args:
        network: the classifier.
        moved: positions among its weights of those that have moved in any stage.
        best: the best epoch so far.
        model: the one that is fitted, compiled; None between two stages.
    """
    weights = network.classifier.weights
    arrays = {f"weights/{position}": weights[position].numpy() for position in sorted(moved)}
    if best.weights is not None:
        arrays |= {f"best/{position}": best.weights[position] for position in sorted(moved)}
    arrays |= {f"chance/{number}": state.numpy() for number, state in enumerate(_seed_states(network, model))}
    if model is not None:
        arrays |= _numbered("optimizer", model.optimizer.variables)
    return arrays


def collect_metrics(model: keras.Model) -> dict[str, np.ndarray]:
    """Return what the metrics of an epoch have added up so far."""
    return _numbered("metrics", model.metrics_variables)


def restore_network(network: Network, progress: TrainingState, moved: set[int], best: BestEpoch) -> None:
    """Put weights and the best epoch back into a network that was built anew.

    Args:
        network: the classifier as the run's configuration makes it.
        progress: with the arrays of `collect_arrays`.
        moved: as in `collect_arrays`.
        best: is filled.

    Raises:
        HeadstartError: when the arrays belong to another network.
    """
    weights = network.classifier.weights
    positions = sorted(moved)
    _assign([weights[position] for position in positions], progress.arrays_of("weights"), "weights")
    best.record = progress.best
    if best.record is not None:
        best.weights = network.classifier.get_weights()
        for position in positions:
            best.weights[position] = progress.arrays[f"best/{position}"]


def restore_optimizer(network: Network, progress: TrainingState, model: keras.Model) -> None:
    """Put back what belongs to the fit of a stage: the optimizer's variables, the seeds of dropout.

    Args:
        network: the classifier.
        progress: with the arrays of `collect_arrays`.
        model: the one that is fitted, compiled as before.

    Raises:
        HeadstartError: when the arrays belong to another network.
    """
    within = any(name.startswith("optimizer/") for name in progress.arrays)  # else it was saved before the fit began
    _assign(_seed_states(network, model if within else None), progress.arrays_of("chance"), "seed generators")
    if within:
        _assign(model.optimizer.variables, progress.arrays_of("optimizer"), "variables of the optimizer")


def restore_metrics(model: keras.Model, progress: TrainingState) -> None:
    """Put back what the metrics of the epoch had added up."""
    _assign(model.metrics_variables, progress.arrays_of("metrics"), "variables of the metrics")


def _seed_states(network: Network, model: keras.Model | None) -> list[Any]:
    """Return the variables that are no weights: the states of seed generators, each once."""
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
            f"Expected a checkpoint with the {len(variables)} {what} of this network. Received: {len(values)}, or of "
            "other shapes; it was written by another version"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
