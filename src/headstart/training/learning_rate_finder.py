"""The learning-rate finder: record the loss while the rate rises from far too small to far too large.

Source: L. N. Smith, 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from rich.progress import Progress

from headstart.config import ScheduleConfig, StageConfig
from headstart.core.console import progress_bar
from headstart.model.freeze import open_for_training
from headstart.model.network import Network
from headstart.training.compiling import compile_for_training
from headstart.training.fit import original_reading_errors
from headstart.training.inputs import StageInputs

LOWEST, HIGHEST = 1e-7, 10.0  # any optimizer learns nothing at the lowest and diverges at the highest
UPDATES = 120  # enough to see the descent, too few to memorise a small dataset, whose batches repeat
DECADE = 15  # updates over which the rate grows tenfold; in the first decade it is too small to change the loss
SMOOTHING = 0.9  # of the exponential average: over ten updates, less than a decade of the rate
DIVERGED = 2.0  # times the loss at the start; there the sweep ends
DESCENT = (
    1.5  # standard deviations of the loss at the start that a descent must exceed; by chance it reaches a third of this
)
SMALLEST_DESCENT = 0.01  # share of the loss at the start, for batches without any noise


@dataclasses.dataclass(frozen=True)
class RateSweep:
    """The loss at each learning rate, and the rate that it suggests."""

    rates: np.ndarray  # (updates,)
    losses: np.ndarray  # (updates,), of the batches that each update used
    smoothed: np.ndarray  # (updates,)
    suggestion: float | None
    reason: str  # how the suggestion was chosen, or why there is none


def sweep_learning_rate(
    network: Network, stage: StageConfig, inputs: StageInputs, label_smoothing: float = 0.0
) -> RateSweep:
    """Train a stage for some updates at an exponentially rising rate, and restore the network.

    Args:
        network: the classifier; its variables, seeds included, are bit-identical afterwards.
        stage: with its complete optimizer, whose own rate and schedule are ignored.
        inputs: makes the input of the stage.
        label_smoothing: share of the target that is spread over all classes, 0 to below 1.

    Raises:
        HeadstartError: for an unknown target of `train` or an image that cannot be read.
    """
    optimizer = dataclasses.replace(stage.optimizer, learning_rate=LOWEST, schedule=ScheduleConfig(), ema=0.0)
    batches = UPDATES * optimizer.accumulate
    stage = dataclasses.replace(
        stage, optimizer=optimizer, epochs=batches
    )  # enough even if each epoch is a single batch
    with _restored(network.classifier):
        open_for_training(network, stage.train)
        stage_input = inputs(network, stage, 0)
        compile_for_training(network, stage, stage_input, label_smoothing)
        with progress_bar() as progress, original_reading_errors():
            sweep = _Sweep(optimizer.accumulate, progress)
            stage_input.model.fit(
                stage_input.training(0), steps_per_epoch=batches, callbacks=[sweep], shuffle=False, verbose=0
            )
    rates, losses = np.array(sweep.rates), np.array(sweep.losses)
    smoothed = smooth(losses)
    suggestion, reason = suggest(rates, losses, smoothed)
    return RateSweep(rates, losses, smoothed, suggestion, reason)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Return the exponential moving average of the losses, corrected for its start at zero.

    Args:
        losses: (updates,).
    """
    averages, average = [], 0.0
    for number, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        averages.append(average / (1 - SMOOTHING**number))
    return np.array(averages)


def suggest(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray) -> tuple[float | None, str]:
    """Suggest the rate of the steepest descent, but at most a tenth of the rate with the lowest loss.

    A tenth of the lowest alone fails when a frozen backbone separates the classes: any large rate then brings the loss
    to zero, and it never rises. The steepest descent alone is too close to the edge in networks that only learn just
    before they diverge. The slope is measured by a line through a decade, because from one update to the next the
    noise of the batches has the steepest slopes.

    Args:
        rates: (updates,), rising.
        losses: (updates,).
        smoothed: (updates,).

    Returns:
        The rate to two digits, or None if the losses suggest none; and the reason.
    """
    finite = np.isfinite(losses)
    if not finite.any():
        return None, "the loss was never finite: check the data and the weights, or set precision=float32"
    rates, losses, smoothed = rates[finite], losses[finite], smoothed[finite]
    start, noise = losses[:DECADE].mean(), losses[:DECADE].std()
    if len(rates) > DECADE:
        lowest = DECADE + int(np.argmin(smoothed[DECADE:]))
        if start - smoothed[lowest] > max(DESCENT * noise, SMALLEST_DESCENT * start):
            steepest = min(range(DECADE, lowest + 1), key=lambda center: _slope(rates, smoothed, center, lowest))
            if rates[steepest] <= rates[lowest] / 10:
                return _two_digits(rates[steepest]), "where the smoothed loss falls most steeply"
            return _two_digits(rates[lowest] / 10), "a tenth of the rate with the lowest smoothed loss"
    return None, (
        f"the loss does not descend: it starts at {start:.3g}, varies by {noise:.2g} from batch to batch, and its "
        f"average never falls below {smoothed.min():.3g}; a larger batch_size makes it less noisy"
    )


def _slope(rates: np.ndarray, smoothed: np.ndarray, center: int, last: int) -> float:
    """Return the slope of the line through the smoothed loss in the decade around an update, up to `last`."""
    window = slice(max(0, center - DECADE // 2), min(center + DECADE // 2, last) + 1)
    return float(np.polyfit(np.log(rates[window]), smoothed[window], 1)[0])


def _two_digits(rate: float) -> float:
    return float(f"{rate:.1e}")


class _Sweep(keras.callbacks.Callback):
    """Sets the rate of each update, and records the loss of its batches."""

    def __init__(self, accumulate: int, progress: Progress) -> None:
        super().__init__()
        self.accumulate, self.progress = accumulate, progress
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.task = progress.add_task("learning rate", total=UPDATES)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raise the rate at the first batch of each update."""
        if batch % self.accumulate == 0:
            rate = LOWEST * (HIGHEST / LOWEST) ** (batch // self.accumulate / (UPDATES - 1))
            self.rates.append(rate)
            self.model.optimizer.learning_rate = rate
            self.model.reset_metrics()  # Keras logs the mean over the batches since then

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the loss at the last batch of each update; stop when it diverges."""
        if (batch + 1) % self.accumulate:
            return
        self.losses.append(float((logs or {})["loss"]))
        self.progress.update(self.task, advance=1, description=f"learning rate {self.rates[-1]:.1e}")
        smoothed = smooth(np.array(self.losses))
        if not math.isfinite(self.losses[-1]) or smoothed[-1] > DIVERGED * np.mean(self.losses[:DECADE]):
            self.model.stop_training = True


@contextmanager
def _restored(model: keras.Model) -> Iterator[None]:
    """Restore a model's variables at the end, whatever happens; unlike `weights`, `variables` includes the seeds."""
    before = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
