"""Compile the model of a stage: optimizer, loss and metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from headstart.config import StageConfig
from headstart.model.network import Network
from headstart.training.convolution_gradients import speed_up_convolution_gradients
from headstart.training.inputs import StageInput
from headstart.training.optimizers import block_rates, build_optimizer


def compile_for_training(
    network: Network, stage: StageConfig, stage_input: StageInput, label_smoothing: float, steps_at_once: int = 1
) -> None:
    """Compile the model of a stage that has been opened, with its optimizer, loss and metric.

    Args:
        network: the classifier.
        stage: with its complete optimizer.
        stage_input: the stage's input; its model is compiled.
        label_smoothing: share of the target that is spread over all classes.
        steps_at_once: steps without a return to Python, between two calls of the callbacks.
    """
    rates = block_rates([block.name for block in network.blocks], stage.optimizer.layer_decay)
    optimizer = build_optimizer(stage.optimizer, stage_input.steps, stage.epochs, _rate_of(network, rates))
    model = stage_input.model
    speed_up_convolution_gradients(layer for block in network.blocks for layer in block.layers)
    # Without XLA, which is far slower than plain graphs on a CPU (depthwise convolutions).
    model.compile(
        optimizer,
        loss=loss_of(model, label_smoothing),
        weighted_metrics=[accuracy_of(model)],
        jit_compile=False,
        steps_per_execution=steps_at_once,
    )
    _create_variables(model)


def _create_variables(model: keras.Model) -> None:
    """Create the variables of optimizer and metrics, which halves the time of the first step.

    Otherwise the first step creates them, and TensorFlow traces a function that created variables a second time.
    """
    model.optimizer.build(model.trainable_variables)
    targets = keras.ops.zeros((1, model.output.shape[-1]))
    model.compute_loss(y=targets, y_pred=targets)
    model.compute_metrics(None, targets, targets)
    model.reset_metrics()


def _rate_of(network: Network, rates: dict[str, float]) -> Callable[[keras.Variable], float]:
    """Return a function that gives the factor on the learning rate of a variable."""
    factors = {
        id(weight): rates[block.name] for block in network.blocks for layer in block.layers for weight in layer.weights
    }
    return lambda variable: factors.get(id(variable), 1.0)


def loss_of(model: keras.Model, label_smoothing: float) -> keras.losses.Loss:
    """Return the loss for a softmax over all classes or a single sigmoid."""
    if model.output.shape[-1] == 1:
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)


def accuracy_of(model: keras.Model) -> keras.metrics.Metric:
    """Return the accuracy for a softmax over all classes or a single sigmoid."""
    if model.output.shape[-1] > 1:
        return keras.metrics.CategoricalAccuracy(name="accuracy")

    def of_the_likelier_class(targets: Any, outputs: Any) -> Any:  # a mixed target counts as its larger part
        return keras.ops.cast(keras.ops.equal(targets > 0.5, outputs > 0.5), "float32")

    return keras.metrics.MeanMetricWrapper(of_the_likelier_class, name="accuracy")
