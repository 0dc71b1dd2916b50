"""`find_lr=true`: suggest a learning rate for the first stage, without training, tracking or saving anything."""

from __future__ import annotations

from headstart.results.sections import LearningRateSuggestion
from headstart.run.setup import RunSetup


def find_learning_rate(setup: RunSetup) -> LearningRateSuggestion:
    """Raise the learning rate step by step, restore the weights, and return the rate that the loss suggests.

    Args:
        setup: the run's setup; writes learning_rate.csv and a figure to its directory.

    Raises:
        HeadstartError: when an image cannot be read.
    """
    from headstart.evaluation.training_report import report_learning_rate
    from headstart.features.activation_cache import open_activation_cache
    from headstart.training.inputs import ImageInputs
    from headstart.training.learning_rate_finder import sweep_learning_rate

    config, stage = setup.config, setup.config.freeze.stages[0]
    with setup.strategy.scope():
        inputs = ImageInputs(config, setup.index, open_activation_cache(config, setup.image_size))
        sweep = sweep_learning_rate(setup.network, stage, inputs, config.label_smoothing)
    configured = stage.optimizer.learning_rate
    title = f"Loss by learning rate: stage {stage.name}, {stage.optimizer.name}"
    report_learning_rate(sweep, configured, title, setup.source, setup.output)
    return LearningRateSuggestion(
        stage=stage.name,
        configured_learning_rate=configured,
        suggested_learning_rate=sweep.suggestion,
        suggestion_reason=sweep.reason,
    )
