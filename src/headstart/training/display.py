"""What a person sees of training: what a stage is about to do, and its epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from headstart.config import HeadConfig, OptimizerConfig, StageConfig
from headstart.core.console import console, print_titled
from headstart.model.network import Network

if TYPE_CHECKING:
    import keras

    from headstart.training.checkpoint import TrainingState
    from headstart.training.history import EpochRecord
    from headstart.training.inputs import StageInput

MUCH_WAITING = 0.05  # share of the time of a stage's steps
WORTH_A_WORD = 1.0  # seconds; less is not worth changing anything


def count_parameters(variables: list[keras.Variable]) -> int:
    """Return how many numbers the variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)


def print_stage(
    network: Network, stage: StageConfig, rates: dict[str, float], given: StageInput, head: HeadConfig
) -> None:
    """Print what trains in a stage: each block with its parameters, its state and its learning rate."""
    optimizer: OptimizerConfig = stage.optimizer
    how = f"{optimizer.name}, {optimizer.schedule.name} learning rate, "
    how += f"{_count(stage.epochs, 'epoch')} of {_count(given.steps, 'step')}"
    if given.features is not None:
        how = f"{head.fit}, fitted by scikit-learn"
    table = Table()
    for column, justify in (
        ("block", "left"),
        ("parameters", "right"),
        ("trains", "right"),
        ("learning rate", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    parts = [(block.name, block.layers, rates[block.name]) for block in network.blocks]
    for name, layers, rate in [*parts, ("head", tuple(network.head.layers), 1.0)]:
        total = count_parameters([weight for layer in layers for weight in layer.weights])
        trains = count_parameters([weight for layer in layers for weight in layer.trainable_weights])
        state = f"{trains:,}" if trains else "frozen"
        learning_rate = f"{optimizer.learning_rate * rate:.2g}" if trains and given.features is None else ""
        table.add_row(name, f"{total:,}", state, learning_rate)
    print_titled(f"Stage {stage.name}: {how}", table)
    for sentence in filter(None, (given.frozen_work, given.weighting)):
        console.print(f"  {sentence}", markup=False, soft_wrap=True)
    if stage.batch_norm == "train":
        console.print("  batch norm of the blocks that train uses and learns the statistics of the batches")
    console.print("  epoch   train: loss accuracy   validation: loss accuracy   time")


def print_epoch(record: EpochRecord, best: bool) -> None:
    """Print an epoch's line.

    Args:
        record: its figures.
        best: whether it is the best so far.
    """
    mark = "  best so far" if best else ""
    console.print(
        f"  {record.epoch:>3}  {record.train_loss:>8.4f} {record.train_accuracy:>8.4f}   "
        f"{record.validation_loss:>8.4f} {record.validation_accuracy:>8.4f}  {record.seconds:>6.1f} s{mark}"
    )


def print_resume_point(progress: TrainingState, stages: list[str]) -> None:
    """Print where training goes on that was interrupted.

    Args:
        progress: as it was saved.
        stages: names of all stages.
    """
    if progress.stage == len(stages):
        where = "all stages are trained"
    else:
        within = f" and {progress.step:,} steps" if progress.step else ""
        where = f"stage {stages[progress.stage]} goes on after {progress.epoch} of its epochs{within}"
    console.print(f"\n[bold]Resumed[/]: {where}", soft_wrap=True)


def print_data_wait(stage: str, share: float, seconds: float, sooner: str) -> None:
    """Print that a stage waited for its batches, where that is worth a word.

    Args:
        stage: its name.
        share: of the time of its steps, 0 to 1.
        seconds: that it waited in all.
        sooner: what would give it its batches sooner.
    """
    if share > MUCH_WAITING and seconds > WORTH_A_WORD:
        console.print(
            f"  {stage} waited for its batches in {share:.0%} of the time of its steps: {sooner}",
            markup=False,
            soft_wrap=True,
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
