"""The strategies of a recommendation: composed, tried, printed."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from headstart.config import Config, compose, select_overrides
from headstart.config.overrides import override_key
from headstart.core.console import console, print_titled
from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.scenario.probes import ProbeCurve
    from headstart.scenario.trials import Recommendation


def compose_strategies(overrides: Sequence[str]) -> dict[str, Config]:
    """Return the configuration of each strategy; what the command sets itself wins.

    Args:
        overrides: overrides from the command line.

    Raises:
        HeadstartError: when the overrides do not fit a strategy.
    """
    from headstart.scenario.trials import STRATEGIES
    from headstart.training.linear_head import check_linear_head

    found: dict[str, Config] = {}
    for name in STRATEGIES:
        words = strategy_overrides(name, overrides)
        try:
            config = compose([*overrides, *words])
            check_linear_head(config)
        except HeadstartError as error:
            raise HeadstartError(
                f"The strategy {shlex.join(words)}, which headstart recommend tries: {error}"
            ) from error
        if config not in found.values():  # the command may set all that two strategies differ in
            found[name] = config
    return found


def strategy_overrides(name: str, overrides: Sequence[str]) -> list[str]:
    """Return the overrides of a strategy, without the groups that the command sets itself.

    Args:
        name: one of STRATEGIES.
        overrides: overrides from the command line.
    """
    from headstart.scenario.trials import STRATEGIES

    return [word for word in STRATEGIES[name] if not select_overrides(list(overrides), [override_key(word)])]


def print_strategies(found: Recommendation, images: int, validation_images: int) -> None:
    """Print what each strategy reached in its trial, and which one is recommended.

    Args:
        found: the trials.
        images: training images in all.
        validation_images: on which the accuracies were measured.
    """
    from headstart.evaluation.metrics import wilson_interval

    table = Table()
    for column in ("strategy", "validation accuracy", "95 % interval", "trial", "all images"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for trial in found.trials:
        low, high = wilson_interval(round(trial.accuracy * validation_images), validation_images)
        name = f"[bold]-> {trial.strategy}[/]" if trial.strategy == found.strategy else trial.strategy
        interval = f"{low:.3f} to {high:.3f}"
        table.add_row(
            name, f"{trial.accuracy:.4f}", interval, f"{trial.seconds:.0f} s", f"about {trial.whole_seconds:.0f} s"
        )
    used = found.trials[0].images
    share = f"{used:,} of {images:,}" if used < images else f"all {images:,}"
    print_titled(
        f"Strategies tried on {share} training images, judged by {validation_images:,} validation images", table
    )
    if found.not_tried:
        console.print(
            f"  Not tried, because the time for trials did not suffice (--seconds): {'; '.join(found.not_tried)}",
            markup=False,
            soft_wrap=True,
        )
    leader = max(found.trials, key=lambda trial: trial.accuracy)
    if leader.strategy != found.strategy:
        console.print(
            f"  {leader.strategy} leads by {100 * (leader.accuracy - found.chosen.accuracy):.1f} points, too little "
            "for these validation images and its time.",
            markup=False,
            soft_wrap=True,
        )


def print_probe_curve(found: ProbeCurve) -> None:
    """Print the accuracy of the multi-depth probe by training images, and what more images would give.

    Args:
        found: the learning curve.
    """
    from headstart.evaluation.learning_curve import NoLearningCurve, describe

    points = ", ".join(
        f"{accuracy:.4f} with {images:,}" for images, accuracy in zip(found.images, found.accuracies, strict=True)
    )
    console.print(
        f"\n  The frozen probe of all depths alone has {points} training images.", markup=False, soft_wrap=True
    )
    if isinstance(found.curve, NoLearningCurve):
        sentence = f"Whether more images would help is not known: {found.curve.reason}"
    else:
        sentence = describe(found.curve)
    console.print(f"  {sentence}", markup=False, soft_wrap=True)


def plain_strategies(found: Recommendation, curve: ProbeCurve) -> dict[str, Any]:
    """Return the trials and the learning curve for recommendation.json.

    Args:
        found: the trials.
        curve: the learning curve of the multi-depth probe.
    """
    return {
        "strategy": found.strategy,
        "trials": [dataclasses.asdict(trial) for trial in found.trials],
        "not_tried": list(found.not_tried),
        "multi_depth_probe": {"images": list(curve.images), "accuracies": list(curve.accuracies)},
    }
