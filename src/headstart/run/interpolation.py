"""WiSE-FT in a run: choose the weights between the probe and the fine-tuned weights that are best on validation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import console
from headstart.core.log import log_event
from headstart.results.refinements import Interpolation, InterpolationPoint
from headstart.run.setup import RunSetup
from headstart.run.train_and_evaluate import classifier_in_memory, predictor_of

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.evaluation.predictor import Predictor
    from headstart.features.activation_cache import ActivationCache
    from headstart.training.interpolation import Probe

LOG = logging.getLogger(__name__)


def interpolate_weights(setup: RunSetup, activations: ActivationCache, probe: Probe) -> Interpolation:
    """Give the network the weights between two ends that are most accurate on validation, ties by the lower loss.

    Args:
        setup: the run's setup; its network has the fine-tuned weights.
        activations: cache of the frozen part.
        probe: the weights of the other end.
    """
    from headstart.evaluation.paired_test import describe_gain, paired_test
    from headstart.training.interpolation import ALPHAS, differing, interpolate

    network = setup.network.classifier
    tuned = network.get_weights()
    positions = differing(probe.weights, tuned)
    if not positions:
        console.print("  WiSE-FT: no epoch of fine-tuning beat the probe, which is kept", markup=False)
        return Interpolation(alpha=0.0, points=(), tests={})
    predictor = _predictor(setup, activations, positions)

    def predict(part: ImageIndex, split: str, alpha: float) -> np.ndarray:
        interpolate(network, probe.weights, tuned, positions, alpha)
        return predictor.probabilities(part, f"{split} at alpha {alpha:g}")

    validation, test = setup.index.split("validation"), setup.index.split("test")
    predicted = {alpha: predict(validation, "validation", alpha) for alpha in ALPHAS}
    points = [_point(alpha, validation, probabilities) for alpha, probabilities in predicted.items()]
    best = max(points, key=lambda point: (point.accuracy, -point.log_loss))
    tests = {"validation": paired_test(validation.labels, predicted[1.0], predicted[best.alpha])}
    if len(test):
        tests["test"] = paired_test(test.labels, predict(test, "test", 1.0), predict(test, "test", best.alpha))
    interpolate(network, probe.weights, tuned, positions, best.alpha)
    log_event(LOG, "interpolated", alpha=best.alpha, validation_accuracy=best.accuracy)
    accuracies = " ".join(f"{point.accuracy:.4f}" for point in points)
    console.print(f"  WiSE-FT, validation accuracy from the probe to fine-tuning: {accuracies}")
    console.print(
        f"  WiSE-FT at alpha {best.alpha:g}, against fine-tuning: {describe_gain(tests, 'interpolate=none')}",
        markup=False,
    )
    return Interpolation(alpha=best.alpha, points=tuple(points), tests=tests)


def _predictor(setup: RunSetup, activations: ActivationCache, positions: Sequence[int]) -> Predictor:
    """Return a predictor that follows the weights at some positions as they change."""
    network = setup.network.classifier
    # OpenVINO would convert the network again for every point.
    classifier = classifier_in_memory(setup, network, "tensorflow")
    predictor = predictor_of(setup, classifier, setup.config.freeze.stages[-1], activations)
    return predictor.for_changing([network.weights[position] for position in positions])


def _point(alpha: float, index: ImageIndex, probabilities: np.ndarray) -> InterpolationPoint:
    from headstart.evaluation.metrics import evaluate

    found = evaluate(index.labels, probabilities, index.class_names)
    return InterpolationPoint(alpha=alpha, accuracy=found.accuracy, log_loss=found.log_loss)
