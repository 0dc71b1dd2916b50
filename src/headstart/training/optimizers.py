"""Build the optimizer of a stage, with its learning rate schedule and layer decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headstart.config import OptimizerConfig
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    import keras

NOT_DECAYED = ["bias", "gamma", "beta"]  # weight decay is for kernels: He et al., 2019, "Bag of Tricks", section 3.1


def build_optimizer(
    config: OptimizerConfig, steps: int, epochs: int, rate_of: Callable[[keras.Variable], float] | None = None
) -> keras.optimizers.Optimizer:
    """Build the optimizer of a stage.

    Args:
        config: the optimizer's name, rate and schedule.
        steps: batches in an epoch.
        epochs: epochs in the stage, which the schedule spans.
        rate_of: returns the factor on the learning rate of a variable, for layer decay.

    Raises:
        HeadstartError: when gradients are accumulated over more batches than the stage has, or with several GPUs.
    """
    import keras
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if config.accumulate > 1 and replicas > 1:
        raise HeadstartError(
            f"Expected optimizer.accumulate to be 1 with {replicas} GPUs, which Keras cannot accumulate over. "
            f"Received: {config.accumulate}"
        )
    if config.accumulate > steps * epochs:
        raise HeadstartError(
            f"Expected optimizer.accumulate to be at most {steps * epochs}, the batches of the stage, or nothing would "
            f"be learned. Received: {config.accumulate}"
        )
    classes = {
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
    }
    arguments: dict[str, Any] = {
        "learning_rate": _schedule(config, steps, epochs),
        # Keras clips on each device, before it adds up the gradients of all devices.
        "global_clipnorm": config.clip_norm / replicas if config.clip_norm else None,
        "weight_decay": config.weight_decay or (0.0 if config.name == "adamw" else None),
        "use_ema": config.ema > 0,
        "ema_momentum": config.ema or 0.99,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
    }
    if config.name in ("sgd", "rmsprop"):
        arguments["momentum"] = config.momentum
    optimizer_class = classes[config.name]
    if config.layer_decay < 1 and rate_of is not None:
        optimizer_class = _with_rates(optimizer_class, rate_of)
    optimizer = optimizer_class(**arguments)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    if replicas > 1 and keras.config.dtype_policy().name == "mixed_float16":
        return _with_loss_scale(optimizer, replicas)
    return optimizer


def slots(config: OptimizerConfig) -> int:
    """Return how many numbers an optimizer stores per trained weight.

    Args:
        config: the optimizer's name and settings.
    """
    own = {"sgd": 0, "rmsprop": 1, "adam": 2, "adamw": 2}[config.name]
    with_momentum = config.name in ("sgd", "rmsprop") and config.momentum > 0
    return own + with_momentum + (config.ema > 0) + (config.accumulate > 1)


def block_rates(blocks: list[str], decay: float) -> dict[str, float]:
    """Return the factor on the learning rate of each block, by layer-wise decay from the top.

    Args:
        blocks: names from input to output.
        decay: factor from one block to the block below; it applies to the last block once, and the head has 1.

    Source: Howard and Ruder, 2018, "Universal Language Model Fine-tuning", discriminative fine-tuning.
    """
    return {name: decay ** (len(blocks) - position) for position, name in enumerate(blocks)}


def _schedule(config: OptimizerConfig, steps: int, epochs: int) -> Any:
    """Return a learning rate, or its schedule over the batches of the stage: Keras counts batches, not updates."""
    import keras

    schedule, rate = config.schedule, config.learning_rate
    batches = steps * epochs
    warmup = min(round(schedule.warmup_epochs * steps), batches - 1)
    if schedule.name == "plateau" or (schedule.name == "constant" and not warmup):
        return rate
    # With alpha 1 the cosine is flat: a constant rate after the warm-up.
    alpha = 1.0 if schedule.name == "constant" else 0.0
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(rate, batches, alpha=alpha)
    return keras.optimizers.schedules.CosineDecay(
        rate / warmup, batches - warmup, alpha=alpha, warmup_target=rate, warmup_steps=warmup
    )


def _with_rates(base: type, rate_of: Callable[[keras.Variable], float]) -> type:
    """Return an optimizer class that scales step and weight decay of each variable by the variable's factor.

    Keras' MultiOptimizer has no single learning rate, so schedules on plateau and weight averaging do not work with it.
    """

    class OptimizerWithRates(base):
        def build(self, variables: list[keras.Variable]) -> None:
            super().build(variables)
            self.rates = [rate_of(variable) for variable in variables]

        def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
            """Do nothing: `update_step` decays, because Keras would decay every variable at the full rate."""

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = learning_rate * self.rates[self._get_variable_index(variable)]
            if self.weight_decay and self._use_weight_decay(variable):
                self.assign_sub(variable, variable * self.weight_decay * rate)
            super().update_step(gradient, variable, rate)

    return OptimizerWithRates


def _with_loss_scale(optimizer: keras.optimizers.Optimizer, replicas: int) -> keras.optimizers.Optimizer:
    """Return the optimizer with loss scaling for half precision on several devices.

    Keras checks the gradients of the first device only, before they are added up (Keras 3.15,
    optimizers/loss_scale_optimizer.py, _tf_apply): an overflow on another device would reach the weights.
    """
    import keras
    import tensorflow as tf

    class LossScaleOfAllDevices(keras.optimizers.LossScaleOptimizer):
        def check_finite(self, gradients: list[Any]) -> Any:
            finite = tf.cast(super().check_finite(gradients), tf.float32)
            return tf.distribute.get_replica_context().all_reduce("SUM", finite) == replicas

    return LossScaleOfAllDevices(optimizer)
