"""Displays the strategies that were tried, the recommended one, and what more images would give."""

from __future__ import annotations

from rich.table import Table

from headstart.core.console import console, print_titled
from headstart.evaluation.learning_curve import NoLearningCurve, describe
from headstart.evaluation.metrics import wilson_interval
from headstart.results.scenario import StrategyChoice
from headstart.scenario.probes import ProbeCurve


def print_choice(choice: StrategyChoice, images: int) -> None:
    """Print what each strategy reached in its trial, which one is recommended, and what more images would give.

    Args:
        choice: the trials.
        images: training images in all.
    """
    table = Table()
    for column in ("strategy", "validation accuracy", "95 % interval", "trial", "all images"):
        first = column == "strategy"
        table.add_column(column, justify="left" if first else "right", no_wrap=first)
    for trial in choice.trials:
        low, high = wilson_interval(round(trial.accuracy * choice.validation_images), choice.validation_images)
        table.add_row(
            f"[bold]-> {trial.strategy}[/]" if trial.strategy == choice.strategy else trial.strategy,
            f"{trial.accuracy:.4f}",
            f"{low:.3f} to {high:.3f}",
            f"{trial.seconds:.0f} s",
            f"about {trial.whole_seconds:.0f} s",
        )
    share = f"{choice.images:,} of {images:,}" if choice.images < images else f"all {images:,}"
    print_titled(
        f"Strategies tried on {share} training images, judged by {choice.validation_images:,} validation images", table
    )
    for one in choice.not_tried:
        console.print(f"  not tried: {one.strategy} ({one.reason})", markup=False, soft_wrap=True)
    _print_leader(choice)
    _print_probe(choice)


def _print_leader(choice: StrategyChoice) -> None:
    """Print which strategy leads, if it is not the recommended one."""
    leader = max(choice.trials, key=lambda trial: trial.accuracy, default=None)
    if leader is not None and leader.strategy != choice.strategy:
        console.print(
            f"  {leader.strategy} leads by {100 * (leader.accuracy - choice.chosen.accuracy):.1f} points, which is too "
            "little on so few validation images to justify its time.",
            markup=False,
            soft_wrap=True,
        )


def _print_probe(choice: StrategyChoice) -> None:
    """Print the accuracy of the multi-depth probe by training images, and what more images would give."""
    points = ", ".join(
        f"{accuracy:.4f} with {images:,}"
        for images, accuracy in zip(choice.probe_images, choice.probe_accuracies, strict=True)
    )
    console.print(
        f"  The frozen probe of all depths alone (head=multi_depth freeze=all) has {points} training images.",
        markup=False,
        soft_wrap=True,
    )
    curve = ProbeCurve(choice.probe_images, choice.probe_accuracies, choice.validation_images).extrapolated()
    if isinstance(curve, NoLearningCurve):
        sentence = f"Whether more images would help is not known: {curve.reason}"
    else:
        sentence = describe(curve)
    console.print(f"  {sentence}", markup=False, soft_wrap=True)
