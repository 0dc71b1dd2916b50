"""Refine a trained network before it is saved: choices that validation images make."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from headstart.core.console import console
from headstart.core.log import log_event
from headstart.results.refinements import Calibration, CalibrationFigures
from headstart.run.setup import RunSetup
from headstart.run.train_and_evaluate import classifier_in_memory, predictor_of
from headstart.tracking import Tracker

if TYPE_CHECKING:
    from headstart.evaluation.scores import Scores
    from headstart.features.activation_cache import ActivationCache

LOG = logging.getLogger(__name__)


def calibrate(setup: RunSetup, activations: ActivationCache, tracker: Tracker) -> Calibration:
    """Fit a temperature to the validation labels, and fold it into the network's output layer.

    Args:
        setup: the run's setup; its network is trained and is changed.
        activations: cache of the frozen part.
        tracker: the run's tracker.
    """
    from headstart.model.heads import scale_logits
    from headstart.training.temperature import best_factor, smoothing_for

    scores = _scores(setup, activations)
    validation = scores["validation"]
    factor = best_factor(validation.logits, validation.labels, smoothing_for(len(validation.labels)))
    before = {split: _calibration_figures(found, 1.0) for split, found in scores.items()}
    after = {split: _calibration_figures(found, factor) for split, found in scores.items()}
    scale_logits(setup.network.head, factor)
    _print_calibration(1 / factor, before, after)
    log_event(LOG, "calibrated", temperature=1 / factor)
    tracker.log_metrics({"temperature": 1 / factor})
    for split, figures in before.items():
        tracker.log_metrics({f"before_calibration/{split}_{key}": value for key, value in vars(figures).items()})
    return Calibration(temperature=1 / factor, before=before)


def _scores(setup: RunSetup, activations: ActivationCache) -> dict[str, Scores]:
    """Return the logits of the network for the validation and test splits."""
    from headstart.evaluation.scores import score_splits

    with setup.strategy.scope():
        logits = setup.network.with_logits().classifier
    classifier = classifier_in_memory(setup, logits)
    predictor = predictor_of(setup, classifier, setup.config.freeze.stages[-1], activations)
    return score_splits(predictor, setup.index)


def _calibration_figures(scores: Scores, factor: float) -> CalibrationFigures:
    found = scores.evaluate(factor)
    return CalibrationFigures(log_loss=found.log_loss, calibration_error=found.calibration_error)


def _print_calibration(
    temperature: float, before: dict[str, CalibrationFigures], after: dict[str, CalibrationFigures]
) -> None:
    """Print the temperature and what it changes."""
    changes = [
        f"{split} calibration error {before[split].calibration_error:.4f} -> {figures.calibration_error:.4f}, "
        f"log loss {before[split].log_loss:.4f} -> {figures.log_loss:.4f}"
        for split, figures in after.items()
    ]
    worse = [split for split, figures in after.items() if figures.log_loss > before[split].log_loss]
    advice = f"; it does not help on {' and '.join(worse)}" if worse else ""
    console.print(f"  temperature {temperature:.3f}: {'; '.join(changes)}{advice}", markup=False, soft_wrap=True)
