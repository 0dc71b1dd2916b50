"""Print the results of a run and the next commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.markup import escape

from headstart.config import drop_overrides, override_key
from headstart.core.console import console, count_of, format_percent, new_table, print_next, print_titled, short_path
from headstart.core.errors import printable
from headstart.core.paths import outputs_directory
from headstart.results.figures import PictureLabels, SplitFigures, SplitResults
from headstart.results.sections import LearningRateSuggestion
from headstart.results.types import RunResults
from headstart.tracking import run_link

PHASES = {
    "start_up": "start-up",
    "data": "checking the data",
    "scenario": "measuring and trials",
    "model": "building the model",
    "training": "training",
    "saving": "saving",
    "evaluation": "evaluation",
    "tracking": "tracking",
}
SAME_ACCURACY = 1e-5  # the probe's is rounded
OF_THE_DATA = ("dataset", "cv", "image_size", "backbone")  # groups and keys that a recommendation takes over


def print_end(results: RunResults, quiet: bool = False) -> None:
    """Print the figures of every split, or the labels of unlabelled images, and commands to run next.

    Args:
        results: results of the finished run.
        quiet: whether to print the figures alone.
    """
    if results.pictures:
        _print_labels(results.pictures)
    else:
        _print_splits(results, quiet)
    if quiet:
        return
    if not results.pictures:
        _print_probe(results)
        _print_estimate(results)
    _print_seconds(results)
    print_next(next_commands(results))


def next_commands(results: RunResults) -> dict[str, str]:
    """Return the commands that a person may want after a run, with their purpose.

    Args:
        results: results of the finished run.
    """
    output, uri = Path(str(results.output)), str(results.tracking_uri)
    run = "latest" if output.is_relative_to(outputs_directory()) else short_path(output)
    commands = {f"headstart predict {run} IMAGE_OR_FOLDER": "label your images"}
    if _entries_wait(results):
        commands[f"headstart sync {short_path(output)}"] = "send what the tracking store has not received"
    elif uri.startswith("http"):
        commands[run_link(uri, str(results.experiment_id), str(results.run_id))] = "this run and its figures in MLflow"
    else:
        commands[f"headstart ui {run}"] = "see this run and its figures in MLflow"
    chosen = (results.scenario and results.scenario.name) or (results.recipe and results.recipe.name)
    if not results.pictures and not chosen:
        commands[_recommend_command(results)] = "try strategies on these images"
    return commands


def _recommend_command(results: RunResults) -> str:
    """Return the command that recommends a strategy for the images of a run."""
    words = [word for word in results.overrides or () if override_key(word).partition(".")[0] in OF_THE_DATA]
    if not any(override_key(word) == "dataset" for word in words):
        words = [f"dataset={results.dataset.name if results.dataset else 'digits'}", *words]
    return shlex.join(["headstart", "recommend", *words])


def _print_seconds(results: RunResults) -> None:
    """Print how long the run took, and its longest phases."""
    if results.seconds is None:
        return
    phases = results.seconds.phases()
    longest = sorted(phases, key=lambda phase: -phases[phase])[:4]
    shares = ", ".join(f"{phases[phase]:.0f} s {PHASES[phase]}" for phase in longest)
    console.print(f"{results.seconds.total:.0f} s in total: {shares}")


def _print_probe(results: RunResults) -> None:
    """Print how the run compares with the frozen probe of all depths, which `scenario=auto` has measured."""
    measured = results.scenario.measured if results.scenario else None
    if measured is None or measured.multi_depth_accuracy is None or results.validation is None:
        return
    probe, trained = measured.multi_depth_accuracy, results.validation.accuracy
    advice = "; train with head=multi_depth freeze=all instead" if probe > trained + SAME_ACCURACY else ""
    console.print(
        f"The frozen probe of all depths alone has {100 * probe:.1f} % on the validation images, this classifier "
        f"{100 * trained:.1f} %{advice}.",
        markup=False,
    )


def _print_estimate(results: RunResults) -> None:
    """Print how long training took beside the estimate of `scenario=auto`."""
    measured = results.scenario.measured if results.scenario else None
    if measured is None or measured.choice is None or not measured.choice.trials or results.seconds is None:
        return
    choice = measured.choice
    if results.resumed or results.seconds.training is None:  # only a part of the training is timed
        return
    console.print(
        f"Estimated after the trials: about {choice.chosen.whole_seconds:.0f} s of training with {choice.strategy}. "
        f"It took {results.seconds.training:.0f} s.",
        markup=False,
    )


def _print_splits(results: RunResults, quiet: bool) -> None:
    """Print the result in a sentence, and the figures of every split in a table; first an empty line, unless quiet."""
    best, splits = results.best_epoch, results.splits
    if best is None or not splits:
        return
    name, split = list(splits.items())[-1]
    low, high = 100 * split.accuracy_low, 100 * split.accuracy_high
    if not quiet:
        console.print()
    console.print(
        f"[bold]{name.capitalize()} accuracy {100 * split.accuracy:.1f} %[/] (95 % interval {low:.1f} to {high:.1f}) "
        f"on {split.images:,} images, with the weights of epoch {best.epoch} ({escape(best.stage)})",
    )
    if split.most_confused:
        console.print(f"Most confused: {_confusions(split)}", markup=False)
    table = new_table("split", "images", "accuracy", "95 % interval", "macro F1", "calibration error")
    for name, split in splits.items():
        accuracy, interval = in_percent(split)
        table.add_row(
            name, f"{split.images:,}", accuracy, interval, f"{split.macro_f1:.3f}", f"{split.calibration_error:.3f}"
        )
    console.print(table)
    if results.stages and len(results.stages) > 1:
        _print_gain(results.stages)


def _confusions(split: SplitResults) -> str:
    """Return the most confused pairs of classes in words."""
    return ", ".join(
        f"{printable(pair.true)} taken for {printable(pair.predicted)} ({count_of(pair.images, 'image')})"
        for pair in split.most_confused[:3]
    )


def _print_gain(stages: dict[str, dict[str, SplitFigures]]) -> None:
    """Print the accuracy of every split after each stage."""
    splits = list(next(iter(stages.values())))
    columns = [title for split in splits for title in (f"{split} accuracy", "95 % interval")]
    table = new_table("after stage", *columns)
    for name, found in stages.items():
        cells = [in_percent(found[split]) for split in splits]
        table.add_row(escape(name), *(cell for pair in cells for cell in pair))
    print_titled("Gain of each stage (best weights so far)", table)


def in_percent(split: SplitFigures) -> tuple[str, str]:
    """Return the accuracy of a split and its 95 % interval in percent, as texts.

    Args:
        split: figures of the split.
    """
    return f"{100 * split.accuracy:.1f} %", f"{100 * split.accuracy_low:.1f} to {100 * split.accuracy_high:.1f}"


def _print_labels(pictures: PictureLabels) -> None:
    """Print the likeliest labels of the first images; predictions.csv has all of them."""
    table = new_table("image", "label", "confidence", "next", left=("label", "next"))
    for picture in pictures.first:
        others = ", ".join(f"{other.label} {format_percent(other.confidence)}" for other in picture.top[1:])
        table.add_row(escape(picture.path), escape(picture.label), format_percent(picture.confidence), escape(others))
    if pictures.images > len(pictures.first):
        table.add_row(f"... and {pictures.images - len(pictures.first):,} more", "", "", "in predictions.csv")
    print_titled("Labels by the saved classifier", table)


def print_suggestion(results: RunResults, found: LearningRateSuggestion) -> None:
    """Print the suggested learning rate and the command that trains with it.

    Args:
        results: results of the finished run.
        found: the suggestion.
    """
    rate, figure = found.suggested_learning_rate, Path(str(results.output)) / "figures" / "learning_rate.png"
    stage, reason = found.stage, found.suggestion_reason
    if rate is None:
        console.print(f"\nNo learning rate to suggest for stage {stage}: {reason}", markup=False)
    else:
        text = f"Suggested learning rate for stage {stage}: {rate:g}, {reason}"
        console.print(f"\n{text} (configured: {found.configured_learning_rate:g})", markup=False)
    console.print(f"  {figure}", markup=False)
    if rate is not None:
        print_next({_command_with_rate(str(results.command), rate): "train with it"})


def _command_with_rate(command: str, rate: float) -> str:
    """Return the command of the learning rate finder, changed to train with the suggested learning rate."""
    key = "freeze.stages.0.optimizer.learning_rate"
    words = drop_overrides(shlex.split(command), ["find_lr", key])
    return shlex.join([*words, f"{key}={rate:g}"])


def _entries_wait(results: RunResults) -> bool:
    """Return whether entries wait for the tracking store."""
    return results.tracking is not None and results.tracking.waiting > 0
