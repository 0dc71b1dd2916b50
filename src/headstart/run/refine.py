"""Refine a trained network before it is saved: interpolation of weights, test-time flips, temperature.

Validation images make every choice. What it changes on them and on the test images is printed, recorded and tracked.
"""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from typing import TYPE_CHECKING

from headstart.config import Config
from headstart.core.console import console
from headstart.core.log import log_event
from headstart.results.refinements import Calibration, CalibrationFigures, Flips, Interpolation, PairedTest
from headstart.run.logged import split_metrics
from headstart.run.setup import RunSetup
from headstart.run.train_and_evaluate import classifier_in_memory, predictor_of
from headstart.tracking import Tracker

if TYPE_CHECKING:
    from headstart.evaluation.scores import Scores
    from headstart.features.activation_cache import ActivationCache
    from headstart.training.stages import TrainingResult

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Refinements:
    """The sections of the results that refining gives; None for what the configuration leaves out."""

    interpolation: Interpolation | None = None
    flips: Flips | None = None
    calibration: Calibration | None = None


def refines(config: Config) -> bool:
    """Return whether a run refines its classifier."""
    return (config.interpolate, config.tta, config.calibrate) != ("none", "none", "none")


def refine(setup: RunSetup, activations: ActivationCache, training: TrainingResult, tracker: Tracker) -> Refinements:
    """Refine the network as the configuration says; the flips are added when it is saved.

    Args:
        setup: the run's setup; the weights of its network are changed.
        activations: cache of the frozen part.
        training: result of training.
        tracker: the run's tracker.
    """
    from headstart.run.interpolation import interpolate_weights

    config = setup.config
    interpolation = flips = calibration = None
    if config.interpolate == "wise_ft" and training.probe is not None:
        interpolation = interpolate_weights(setup, activations, training.probe)
        tracker.log_metrics({"interpolation/alpha": interpolation.alpha})
        _track_tests(tracker, "interpolation", interpolation.tests)
    if config.tta == "flip" or config.calibrate == "temperature":
        scores = _scores(setup, activations)
        if config.tta == "flip":
            flips = _compare_flips(scores)
            _track_tests(tracker, "flips", flips.tests)
        if config.calibrate == "temperature":
            calibration = _calibrate(setup, scores)
            _draw_calibration(setup, scores, calibration)
            _track_calibration(tracker, calibration)
    return Refinements(interpolation, flips, calibration)


def _scores(setup: RunSetup, activations: ActivationCache) -> dict[str, Scores]:
    """Return the logits of the network for the validation and test splits."""
    from headstart.evaluation.scores import score_splits

    with setup.strategy.scope():
        logits = setup.network.with_logits().classifier
    classifier = classifier_in_memory(setup, logits)
    predictor = predictor_of(setup, classifier, setup.config.freeze.stages[-1], activations)
    return score_splits(predictor, setup.index, setup.config.tta == "flip")


def _compare_flips(scores: dict[str, Scores]) -> Flips:
    """Test the average with the mirror image against the image alone, and print what it gives and costs."""
    from headstart.evaluation.paired_test import describe_gain, paired_test

    tests = {
        split: paired_test(found.labels, found.first_view().probabilities(), found.probabilities())
        for split, found in scores.items()
    }
    console.print(
        f"  test-time flips: {describe_gain(tests, 'tta=none')}; a prediction takes two passes through the network",
        markup=False,
    )
    return Flips(tests=tests)


def _calibrate(setup: RunSetup, scores: dict[str, Scores]) -> Calibration:
    """Fit a temperature to the validation labels, and fold it into the network's output layer."""
    from headstart.model.heads import scale_logits
    from headstart.training.temperature import best_factor, smoothing_for

    validation = scores["validation"]
    factor = best_factor(validation.logits, validation.labels, smoothing_for(len(validation.labels)))
    before = {split: _calibration_figures(found, 1.0) for split, found in scores.items()}
    after = {split: _calibration_figures(found, factor) for split, found in scores.items()}
    scale_logits(setup.network.head, factor)
    log_event(LOG, "calibrated", temperature=1 / factor)
    changes = [
        f"{split} calibration error {before[split].calibration_error:.4f} -> {figures.calibration_error:.4f}, "
        f"log loss {before[split].log_loss:.4f} -> {figures.log_loss:.4f}"
        for split, figures in after.items()
    ]
    worse = [split for split, figures in after.items() if figures.log_loss > before[split].log_loss]
    advice = f"; it does not help on {' and '.join(worse)}" if worse else ""
    console.print(f"  temperature {1 / factor:.3f}: {'; '.join(changes)}{advice}", markup=False)
    return Calibration(temperature=1 / factor, before=before)


def _draw_calibration(setup: RunSetup, scores: dict[str, Scores], calibration: Calibration) -> None:
    """Begin the reliability diagrams of each split before and after temperature scaling."""
    from headstart.evaluation.plots import temperature_figure
    from headstart.evaluation.writing import begin_figure

    source = setup.source
    for split, found in scores.items():
        begin_figure(
            partial(
                temperature_figure,
                found.labels,
                found.probabilities(),
                found.probabilities(1 / calibration.temperature),
                calibration.temperature,
                f"{split}: confidence against accuracy, before and after temperature scaling",
                source,
            ),
            setup.output / "figures" / f"{split}_temperature.png",
        )


def _calibration_figures(scores: Scores, factor: float) -> CalibrationFigures:
    found = scores.evaluate(factor)
    return CalibrationFigures(log_loss=found.log_loss, calibration_error=found.calibration_error)


def _track_tests(tracker: Tracker, name: str, tests: dict[str, PairedTest]) -> None:
    """Track the paired tests of a refinement."""
    for split, test in tests.items():
        tracker.log_metrics(split_metrics(split, dataclasses.asdict(test), f"{name}/"))


def _track_calibration(tracker: Tracker, calibration: Calibration) -> None:
    """Track the temperature, and the figures before it; those after it are the figures of the saved classifier."""
    tracker.log_metrics({"temperature": calibration.temperature})
    for split, figures in calibration.before.items():
        tracker.log_metrics(split_metrics(split, dataclasses.asdict(figures), "before_calibration/"))
