"""Train all stages, and evaluate the saved classifier; each function returns its sections of the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.classifier.description import store_threshold
from headstart.classifier.familiarity import write_familiarity
from headstart.classifier.saved import Classifier
from headstart.config import StageConfig
from headstart.core.files import file_name
from headstart.core.signals import parse_duration
from headstart.results.figures import EpochFigures, SplitFigures, SplitResults
from headstart.results.runs import CHECKPOINT
from headstart.results.sections import Parameters
from headstart.results.threshold import ThresholdAdvice
from headstart.results.unfamiliar import Unfamiliar
from headstart.run.logged import epoch_metrics, split_metrics
from headstart.run.setup import RunSetup
from headstart.tracking import Tracker

if TYPE_CHECKING:
    import keras

    from headstart.evaluation.predictor import Predictor
    from headstart.features.activation_cache import ActivationCache
    from headstart.training.history import EpochRecord
    from headstart.training.stages import TrainingResult

AfterStage = Callable[[str, dict[str, SplitFigures]], None]  # stage, figures by split


def train(
    setup: RunSetup, activations: ActivationCache, tracker: Tracker, started: float, after_stage: AfterStage
) -> TrainingResult:
    """Train all stages and track every epoch.

    Args:
        setup: the run's setup.
        activations: cache of the frozen part.
        tracker: the run's tracker.
        started: start time of the process, in seconds since the epoch; `time_limit` counts from it.
        after_stage: called with the figures after each stage but the last one if `evaluate_after_each_stage` is true;
            the final evaluation covers the last stage.
    """
    from headstart.training.checkpoint import Checkpoints
    from headstart.training.inputs import ImageInputs
    from headstart.training.settings import StageCallbacks, TrainingSettings
    from headstart.training.stages import train_stages

    config = setup.config
    stages = [stage.name for stage in config.freeze.stages]

    def track_epoch(record: EpochRecord) -> None:
        figures = {key: value for key, value in dataclasses.asdict(record).items() if isinstance(value, float)}
        figures["stage"] = float(stages.index(record.stage))
        tracker.log_metrics(epoch_metrics(figures), record.epoch)

    def evaluate_stage(stage: StageConfig) -> None:
        if config.evaluate_after_each_stage and stage.name != stages[-1]:
            after_stage(stage.name, _evaluate_stage(setup, activations, tracker, stage))

    limit = None if config.time_limit is None else started + parse_duration(config.time_limit)
    with setup.strategy.scope():
        training = train_stages(
            setup.network,
            config.freeze.stages,
            ImageInputs(config, setup.index, activations),
            TrainingSettings(
                config.head,
                config.seed,
                config.label_smoothing,
                config.patience,
                keep_probe=config.interpolate != "none",
                verbose=config.verbose,
            ),
            StageCallbacks(track_epoch, evaluate_stage),
            Checkpoints(setup.output / CHECKPOINT, config.checkpoint_seconds),
            limit,
        )
    waited = {f"waiting/{file_name(name)}": share for name, share in training.data_wait_fraction.items()}
    tracker.log_metrics(waited)
    return training


def best_epoch_of(training: TrainingResult) -> EpochFigures:
    """Return the figures of the best epoch."""
    return EpochFigures(**dataclasses.asdict(training.best))


def parameters_of(setup: RunSetup, training: TrainingResult) -> Parameters:
    """Return the numbers of parameters after training."""
    return Parameters(
        total=setup.network.classifier.count_params(),
        trainable=list(training.trainable_parameters.values())[-1],
        trainable_by_stage=training.trainable_parameters,
    )


def data_wait_fractions_of(training: TrainingResult) -> dict[str, float]:
    """Return the fraction of step time that each stage spent waiting for data, 0 to 1."""
    return {name: round(share, 4) for name, share in training.data_wait_fraction.items()}


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """The sections of the results that the evaluation of the saved classifier gives."""

    splits: dict[str, SplitResults]
    threshold: ThresholdAdvice | None
    unfamiliar: Unfamiliar | None


def evaluate(
    setup: RunSetup, classifier: Classifier, activations: ActivationCache, training: TrainingResult, tracker: Tracker
) -> EvaluatedRun:
    """Evaluate the saved classifier on the validation and test splits; write, track and return the figures.

    The threshold between two classes that they advise, and what the training images look like, are saved with the
    classifier.

    Args:
        setup: the run's setup.
        classifier: the saved classifier.
        activations: cache of the frozen part.
        training: result of `train`, for the figures of the epochs.
        tracker: the run's tracker.
    """
    from headstart.evaluation.examined import examine_splits
    from headstart.evaluation.report import report_splits
    from headstart.evaluation.results import split_results
    from headstart.evaluation.training_report import report_training

    config, output = setup.config, setup.output
    predictor = predictor_of(setup, classifier, config.freeze.stages[-1], activations)
    source = setup.source
    report_training(training.history, training.best.epoch, source, output)
    examined = examine_splits(predictor, setup.index)
    reports = report_splits(classifier, setup.index, examined.probabilities, source, output)
    if reports.threshold:
        store_threshold(output / "classifier", reports.threshold.threshold)
        tracker.log_metrics({"threshold": reports.threshold.threshold})
    if examined.familiarity is not None:
        write_familiarity(output / "classifier", examined.familiarity)
    tracker.log_metrics({"best_epoch": training.best.epoch})
    for split, evaluation in reports.evaluations.items():
        tracker.log_metrics(split_metrics(split, evaluation.summary()))
    tracker.log_files(output / name for name in ("history.csv", "predictions.csv"))
    tracker.log_files(sorted(output.glob("*_report*")))
    splits = {split: split_results(evaluation) for split, evaluation in reports.evaluations.items()}
    return EvaluatedRun(splits, reports.threshold, examined.unfamiliar)


def track_figures(tracker: Tracker, output: Path) -> None:
    """Wait for the figures of a run, and track them.

    Args:
        tracker: the run's tracker.
        output: directory of the run.
    """
    from headstart.evaluation.writing import finish_figures

    finish_figures()
    tracker.log_files(sorted((output / "figures").glob("*.*")), "figures")


def _evaluate_stage(
    setup: RunSetup, activations: ActivationCache, tracker: Tracker, stage: StageConfig
) -> dict[str, SplitFigures]:
    """Evaluate the network with the best weights so far; write, track and return the figures by split."""
    from headstart.evaluation.report import report_stage
    from headstart.evaluation.results import split_figures

    name = stage.name
    predictor = predictor_of(setup, classifier_in_memory(setup, setup.network.classifier), stage, activations)
    evaluations = report_stage(predictor, setup.index, name, setup.output)
    for split, found in evaluations.items():
        tracker.log_metrics(split_metrics(split, found.summary(), f"after_{file_name(name)}/"))
    return {split: split_figures(found) for split, found in evaluations.items()}


def classifier_in_memory(setup: RunSetup, model: keras.Model, inference_backend: str | None = None) -> Classifier:
    """Return a model of the run that was not saved as a classifier.

    Args:
        setup: the run's setup.
        model: from pixels to probabilities or logits.
        inference_backend: None is the run's.
    """
    config = setup.config
    backend = inference_backend or config.inference_backend
    return Classifier(model, setup.index.class_names, setup.image_size, config.dataset.resize, setup.output, backend)


def predictor_of(
    setup: RunSetup, classifier: Classifier, stage: StageConfig, activations: ActivationCache
) -> Predictor:
    """Return a predictor of whole splits that reuses cached activations of the layers that a stage left frozen.

    Args:
        setup: the run's setup.
        classifier: the saved one, or one in memory.
        stage: the last one that was trained.
        activations: cache of the frozen part.
    """
    from headstart.evaluation.predictor import make_predictor

    config = setup.config
    entry = setup.network.entry
    return make_predictor(classifier, entry, stage.train, config.batch_size, activations, config.cache.activations)
