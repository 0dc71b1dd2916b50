"""A stage whose head is solved, not trained by gradients: one epoch in the history."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import console
from headstart.training.compiling import accuracy_of, loss_of
from headstart.training.history import EpochRecord
from headstart.training.linear_head import LinearClassifier, fit_linear_head, linear_fit, set_head
from headstart.training.ridge_head import fit_on_every_depth

if TYPE_CHECKING:
    import keras

    from headstart.config import StageConfig
    from headstart.training.inputs import Features, StageInput
    from headstart.training.settings import TrainingSettings


def fit_linear_stage(
    head: keras.Model,
    stage: StageConfig,
    stage_input: StageInput,
    features: Features,
    settings: TrainingSettings,
    epoch: int,
) -> tuple[EpochRecord, LinearClassifier]:
    """Solve the head, and evaluate it on the training and validation images.

    Args:
        head: the classifier's head; its output layer is set.
        stage: the stage, for its name.
        stage_input: its model is compiled and evaluated.
        features: of the training split.
        settings: which linear classifier if the stage does not say so itself, and its seed.
        epoch: number of the epoch, from 1 over all stages.

    Returns:
        The record of the epoch, and the linear classifier that is now in the head.
    """
    started = time.perf_counter()
    kind = linear_fit(settings.head, stage)
    if kind is None:
        raise ValueError(f"Expected a stage whose head is solved. Received: {stage.name}")
    labels, weights, seed = features.labels, features.class_weights, settings.seed
    with console.status(f"{stage.name}: solving the head ({kind}) with cross-validation"):
        if kind == "ridge":
            fitted = fit_on_every_depth(features.rows, features.depths, labels, weights, seed)
        else:
            everything = np.concatenate(list(features.rows.batches(iter([np.arange(len(labels))]))))
            fitted = fit_linear_head(kind, everything, labels, weights, seed)
    set_head(head, fitted)
    model = stage_input.model
    model.compile(loss=loss_of(model, 0.0), weighted_metrics=[accuracy_of(model)], jit_compile=False)
    training = dict(model.evaluate(stage_input.training(0), steps=stage_input.steps, verbose=0, return_dict=True))
    validation = dict(model.evaluate(stage_input.validation, verbose=0, return_dict=True))
    record = EpochRecord(
        epoch=epoch,
        stage=stage.name,
        train_loss=float(training["loss"]),
        train_accuracy=float(training["accuracy"]),
        validation_loss=float(validation["loss"]),
        validation_accuracy=float(validation["accuracy"]),
        learning_rate=0.0,
        seconds=time.perf_counter() - started,
    )
    return record, fitted
