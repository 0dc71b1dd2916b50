"""The console output of training: what a stage is about to do, its epochs, and how it was resumed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from headstart.config import StageConfig
from headstart.core.console import console, count_of, new_table
from headstart.model.freeze import frozen_above
from headstart.model.network import Network
from headstart.training.linear_head import linear_fit
from headstart.training.optimizers import block_rates
from headstart.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

    from headstart.training.checkpoint import TrainingState
    from headstart.training.history import EpochRecord
    from headstart.training.inputs import StageInput
    from headstart.training.linear_head import LinearClassifier

# A stage that waits less than this for data is not worth a change.
REPORTED_WAIT_FRACTION = 0.05  # of the step time
REPORTED_WAIT_SECONDS = 1.0


def count_parameters(variables: list[keras.Variable]) -> int:
    """Return how many numbers the variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)


def print_stage(
    network: Network, stage: StageConfig, stage_input: StageInput, position: tuple[int, int], settings: TrainingSettings
) -> None:
    """Print what a stage trains, how, and what is computed once.

    Args:
        network: opened for the stage.
        stage: with its complete optimizer.
        stage_input: its steps, and the notes about it.
        position: of the stage, from 1, and the number of stages.
        settings: say how the head is fitted in stages that do not say so themselves, and whether to print every block.
    """
    rates = block_rates([block.name for block in network.blocks], stage.optimizer.layer_decay)
    classifier = network.classifier
    trains, total = count_parameters(classifier.trainable_variables), classifier.count_params()
    solved = linear_fit(settings.head, stage) if stage_input.features is not None else None
    how = f"the head is solved by {solved}" if solved else _optimization(network, stage, rates, stage_input.steps)
    title = f"Stage {position[0]} of {position[1]}: {stage.name}"
    console.print(f"\n[bold]{escape(title)}[/]  {trains:,} of {total:,} parameters, {how}")
    if settings.verbose:
        console.print(_block_table(network, stage.optimizer.learning_rate, rates, solved is not None))
    for sentence in filter(None, (stage_input.caching_note, _window_note(network), stage_input.class_weight_note)):
        console.print(f"  {sentence}", markup=False)
    if stage.batch_norm == "train":
        console.print("  batch norm in the trained blocks uses and updates the statistics of each batch")


def _optimization(network: Network, stage: StageConfig, rates: dict[str, float], steps: int) -> str:
    """Return how an optimizer trains a stage: its learning rates, epochs and steps."""
    optimizer = stage.optimizer
    trained = [rates[block.name] for block in network.blocks if any(layer.trainable_weights for layer in block.layers)]
    lowest = min([1.0, *trained])
    rate = f"{optimizer.learning_rate:.3g}"
    if lowest < 1:
        rate = f"{optimizer.learning_rate * lowest:.2g} (first trained block) to {rate} (head)"
    schedule = "" if optimizer.schedule.name == "constant" else f", {optimizer.schedule.name}"
    return f"{optimizer.name} {rate}{schedule}, {count_of(stage.epochs, 'epoch')} of {count_of(steps, 'step')}"


def _block_table(network: Network, learning_rate: float, rates: dict[str, float], solved: bool) -> Table:
    """Return a table of the blocks with their parameters, their state and their learning rates."""
    table = new_table("block", "parameters", "trains", "learning rate")
    parts = [(block.name, block.layers, rates[block.name]) for block in network.blocks]
    for name, layers, rate in [*parts, ("head", tuple(network.head.layers), 1.0)]:
        total = count_parameters([weight for layer in layers for weight in layer.weights])
        trains = count_parameters([weight for layer in layers for weight in layer.trainable_weights])
        state = f"{trains:,}" if trains else "frozen"
        table.add_row(name, f"{total:,}", state, f"{learning_rate * rate:.2g}" if trains and not solved else "")
    return table


def print_epoch_columns() -> None:
    """Print the names of the columns that `print_epoch` prints."""
    console.print("  epoch   train loss  accuracy   validation loss  accuracy      time", style="dim")


def print_epoch(record: EpochRecord, epochs: int, is_best: bool) -> None:
    """Print the line of an epoch.

    Args:
        record: its figures.
        epochs: of all stages.
        is_best: whether none before it was better.
    """
    width = len(str(epochs))
    position = f"{record.epoch:>{width}}/{epochs}"
    console.print(
        f"  {position:>5}   {record.train_loss:>10.4f}  {100 * record.train_accuracy:>6.1f} %   "
        f"{record.validation_loss:>15.4f}  {100 * record.validation_accuracy:>6.1f} %  {record.seconds:>6.1f} s"
        f"{'  best' if is_best else ''}"
    )


def print_linear_head(fitted: LinearClassifier) -> None:
    """Print the regularisation that cross-validation chose for a head that was solved.

    Args:
        fitted: the classifier.
    """
    alone = fitted.last_depth_accuracy
    console.print(
        f"  {fitted.kind}: {'strength' if fitted.kind == 'ridge' else 'C'} {fitted.regularisation:.3g}, the best by "
        f"{'leave-one-out' if fitted.kind == 'ridge' else 'cross-validation'} ({100 * fitted.accuracy:.1f} %"
        + ("" if alone is None else f"; {100 * alone:.1f} % on the last depth alone")
        + ")"
        + ("" if fitted.converged else "; the solver stopped before it converged"),
    )


def print_resume_point(state: TrainingState, stages: list[str]) -> None:
    """Print where training resumes.

    Args:
        state: the saved training state.
        stages: names of all stages.
    """
    if state.stage == len(stages):
        where = "all stages are trained"
    else:
        steps = f" and {count_of(state.step, 'step')}" if state.step else ""
        where = f"stage {stages[state.stage]} continues after {count_of(state.epoch, 'epoch')}{steps}"
    console.print(f"\n[bold]Resumed[/]: {where}")


def print_data_wait(stage: str, fraction: float, seconds: float, faster_input_tip: str) -> None:
    """Print how much of its step time a stage spent waiting for data, if that is worth a change.

    Args:
        stage: its name.
        fraction: of the step time, 0 to 1.
        seconds: spent waiting in total.
        faster_input_tip: what would make the input faster.
    """
    if fraction > REPORTED_WAIT_FRACTION and seconds > REPORTED_WAIT_SECONDS:
        console.print(
            f"  {stage}: {100 * fraction:.0f} % of step time was spent waiting for data: {faster_input_tip}",
            markup=False,
        )


def _window_note(network: Network) -> str:
    """Return what the layers cost that are frozen above the first trained one; an empty text if there are none."""
    above = frozen_above(network)
    if not above:
        return ""
    return (
        f"{count_of(len(above), 'layer')} above the first trained one {'has' if len(above) == 1 else 'have'} frozen "
        "weights: every step computes their activations and the gradients through them all the same"
    )
