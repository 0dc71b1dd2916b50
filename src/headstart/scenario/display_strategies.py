"""Displays the strategies that were tried, the recommended one, and what more images would give."""

from __future__ import annotations

from rich.table import Table

from headstart.core.console import console, new_table
from headstart.evaluation.learning_curve import NoLearningCurve, describe
from headstart.evaluation.metrics import wilson_interval
from headstart.results.scenario import StrategyChoice, Trial
from headstart.scenario.probes import ProbeCurve


def print_choice(choice: StrategyChoice, images: int) -> None:
    """Print what each strategy reached in its trial, which one is recommended, and what more images would give.

    Args:
        choice: the trials.
        images: training images in all.
    """
    share = f"{choice.images:,} of {images:,}" if choice.images < images else f"all {images:,}"
    judges = f"judged by {choice.validation_images:,} validation images"
    console.print(f"\n[bold]Strategies[/] tried on {share} training images, {judges}")
    console.print(_trial_table(choice))
    reasons: dict[str, list[str]] = {}
    for one in choice.not_tried:
        reasons.setdefault(one.reason, []).append(one.strategy)
    for reason, names in reasons.items():
        console.print(f"Not tried ({reason}): {', '.join(names)}", markup=False)
    _print_probe(choice)
    _print_recommended(choice)
    _print_leader(choice)


def _trial_table(choice: StrategyChoice) -> Table:
    """Return a table of the strategies that were tried."""
    table = new_table("strategy", "validation %", "95 % interval", "seconds of the trial", "seconds on all images")
    for trial in choice.trials:
        figures = f"{100 * trial.accuracy:.1f}", _interval(trial, choice)
        seconds = f"{trial.seconds:.0f}", f"about {trial.whole_seconds:.0f}"
        table.add_row(trial.strategy, *figures, *seconds, style="green" if trial.strategy == choice.strategy else None)
    return table


def _interval(trial: Trial, choice: StrategyChoice) -> str:
    """Return the 95 % interval of a trial's accuracy in percent."""
    low, high = wilson_interval(round(trial.accuracy * choice.validation_images), choice.validation_images)
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _print_recommended(choice: StrategyChoice) -> None:
    """Print the recommended strategy with its accuracy and time; nothing if none was tried."""
    if choice.trials:
        chosen = choice.chosen
        console.print(
            f"[bold]Recommended: {choice.strategy}[/], {100 * chosen.accuracy:.1f} % on validation images "
            f"({_interval(chosen, choice)}), about {chosen.whole_seconds:.0f} s of training on all images",
        )


def _print_leader(choice: StrategyChoice) -> None:
    """Print which strategy leads, if it is not the recommended one."""
    leader = max(choice.trials, key=lambda trial: trial.accuracy, default=None)
    if leader is not None and leader.strategy != choice.strategy:
        console.print(
            f"{leader.strategy} leads by {100 * (leader.accuracy - choice.chosen.accuracy):.1f} points, which is too "
            "little on so few validation images to justify its time.",
            markup=False,
        )


def _print_probe(choice: StrategyChoice) -> None:
    """Print the accuracy of the multi-depth probe by training images, and what more images would give."""
    points = ", ".join(
        f"{100 * accuracy:.1f} % with {images:,}"
        for images, accuracy in zip(choice.probe_images, choice.probe_accuracies, strict=True)
    )
    console.print(
        f"The frozen probe of all depths alone (head=multi_depth freeze=all) has {points} training images.",
        markup=False,
    )
    curve = ProbeCurve(choice.probe_images, choice.probe_accuracies, choice.validation_images).extrapolated()
    if isinstance(curve, NoLearningCurve):
        sentence = f"Whether more images would help is not known: {curve.reason}"
    else:
        sentence = describe(curve)
    console.print(sentence, markup=False)
