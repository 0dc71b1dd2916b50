"""Print a run's configuration, data, derived facts and results, and the next commands."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from rich.markup import escape
from rich.table import Table

from headstart.config import Config, drop_overrides, parameters
from headstart.core.console import console, print_titled
from headstart.core.errors import printable
from headstart.core.sqlite_uri import sqlite_uri
from headstart.results.figures import PictureLabels, SplitFigures
from headstart.results.sections import Dataset, Environment, LearningRateSuggestion
from headstart.results.types import RunResults

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.model.network import Network

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
WIDTH_OF_COUNTS = 45  # characters of all columns but the class names
LONGEST_CLASS_TABLE = 20  # rows, so that the rest stays on the screen


def print_configuration(file: Path, config: Config) -> None:
    """Print the path of config.yaml and the resolved configuration, without what `scenario=auto` chooses from.

    Args:
        file: that has been written.
        config: in it.
    """
    console.print(f"[bold]Configuration[/]  {escape(str(file))}", soft_wrap=True)
    console.print(OmegaConf.to_yaml(OmegaConf.create(parameters(config))), end="", markup=False, soft_wrap=True)


def print_data(index: ImageIndex, warnings: list[str]) -> None:
    """Print the number of images by class and split, and the warnings of the checks.

    Args:
        index: the images that the run will use.
        warnings: sentences.
    """
    if len(index.class_names) == 1:
        console.print(f"\n[bold]Data: {len(index):,} unlabelled images[/]")
    else:
        print_titled(f"Data: {len(index):,} images of {len(index.class_names)} classes", _class_table(index))
    print_warnings(warnings)


def print_warnings(warnings: list[str]) -> None:
    """Print warnings about the images.

    Args:
        warnings: sentences.
    """
    for warning in warnings:
        console.print(f"  Warning: {warning}", markup=False, soft_wrap=True)


def _class_table(index: ImageIndex) -> Table:
    """Return a table of the number of images by class and split; one row sums up the classes that do not fit."""
    counts = index.counts()
    table = Table()
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=max(20, console.width - WIDTH_OF_COUNTS))
    for split in counts:
        table.add_column(split, justify="right")
    shown = min(len(index.class_names), LONGEST_CLASS_TABLE)
    for position in range(shown):
        table.add_row(
            escape(printable(index.class_names[position])), *(f"{count[position]:,}" for count in counts.values())
        )
    if shown < len(index.class_names):
        rest = [f"{count[shown:].sum():,}" for count in counts.values()]
        table.add_row(f"... and {len(index.class_names) - shown} more", *rest)
    table.add_section()
    table.add_row("all", *(f"{count.sum():,}" for count in counts.values()))
    return table


def print_derived(dataset: Dataset, environment: Environment, config: Config, network: Network) -> None:
    """Print facts that follow from the configuration and the data, before training.

    Args:
        dataset: the images that the run will use.
        environment: versions and machine.
        config: the run's configuration.
        network: the network that the run will train.
    """
    training = dataset.images["train"]
    steps = f"{-(-training // config.batch_size)} per epoch" if training else "none, nothing trains"
    origin = "set by image_size" if config.image_size else "default for this data set and backbone"
    weights = "random weights" if config.backbone.weights == "none" else f"weights {config.backbone.weights}"
    facts = {
        "fingerprint": dataset.fingerprint[:16],
        "image size": f"{dataset.image_size} px ({origin})",
        "steps": f"{steps}, batches of {config.batch_size}",
        "backbone": f"{config.backbone.name}, {weights}, {len(network.blocks)} blocks",
        "parameters": f"{network.classifier.count_params():,}",
        "precision": environment.precision + (f" on {len(environment.gpus)} GPU" if environment.gpus else ""),
    }
    if environment.inference_backend != "tensorflow":
        facts["inference"] = environment.inference_backend
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(f"  {name}", escape(value))
    console.print(table)


def print_end(results: RunResults) -> None:
    """Print the figures of every split, or the labels of unlabelled images, and commands to run next.

    Args:
        results: results of the finished run.
    """
    if results.pictures:
        _print_labels(results.pictures)
    else:
        _print_splits(results)
        _print_probe(results)
        _print_estimate(results)
    _print_seconds(results)
    console.print("\n[bold]Next[/]")
    output = shlex.quote(str(results.output))
    figures = "see the images with labels" if results.pictures else "see confusion matrices, history, worst mistakes"
    commands = {
        f"headstart predict {output} IMAGE_OR_FOLDER": "label your own images",
        _where_to_look(results): (
            "send the pending entries once the tracking store answers again"
            if _entries_wait(results)
            else "see the run in MLflow, and compare it with others"
        ),
        f"ls {output}/figures": figures,
    }
    for command, purpose in commands.items():
        console.print(f"  {purpose}:\n    {command}", markup=False, soft_wrap=True)


def _print_seconds(results: RunResults) -> None:
    """Print how long the run took, and its longest phases."""
    if results.seconds is None:
        return
    phases = results.seconds.phases()
    longest = sorted(phases, key=lambda phase: -phases[phase])[:4]
    shares = ", ".join(f"{phases[phase]:.0f} s {PHASES[phase]}" for phase in longest)
    console.print(f"  {results.seconds.total:.0f} s in total: {shares}")


def _print_probe(results: RunResults) -> None:
    """Print how the run compares with the frozen probe of all depths, which `scenario=auto` has measured."""
    measured = results.scenario.measured if results.scenario else None
    if measured is None or measured.multi_depth_accuracy is None or results.validation is None:
        return
    probe, trained = measured.multi_depth_accuracy, results.validation.accuracy
    advice = "; train with head=multi_depth freeze=all instead" if probe > trained + SAME_ACCURACY else ""
    console.print(
        f"  The frozen probe of all depths alone has {probe:.4f} on the validation images, this classifier "
        f"{trained:.4f}{advice}.",
        markup=False,
        soft_wrap=True,
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
        f"  Estimated after the trials: about {choice.chosen.whole_seconds:.0f} s of training with {choice.strategy}. "
        f"It took {results.seconds.training:.0f} s.",
        markup=False,
        soft_wrap=True,
    )


def _print_splits(results: RunResults) -> None:
    """Print the figures of every split, and the most confused pairs."""
    best, splits = results.best_epoch, results.splits
    if best is None or not splits:
        return
    table = Table()
    for column in ("split", "images", "accuracy", "95 % interval", "macro F1", "calibration\nerror"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in splits.items():
        figures = f"{split.macro_f1:.4f}", f"{split.calibration_error:.4f}"
        table.add_row(name, f"{split.images:,}", *with_interval(split), *figures)
    print_titled(f"Results of the saved classifier (epoch {best.epoch}, stage {best.stage})", table)
    last, split = list(splits.items())[-1]
    for pair in split.most_confused[:3]:
        text = f"  {last}: {pair.images} images of {printable(pair.true)} predicted as {printable(pair.predicted)}"
        console.print(text, markup=False, soft_wrap=True)
    if results.stages and len(results.stages) > 1:
        _print_gain(results.stages)


def _print_gain(stages: dict[str, dict[str, SplitFigures]]) -> None:
    """Print the accuracy of every split after each stage."""
    splits = list(next(iter(stages.values())))
    table = Table()
    table.add_column("after stage")
    for split in splits:
        table.add_column(f"{split}\naccuracy", justify="right")
        table.add_column("\n95 % interval", justify="right")
    for name, found in stages.items():
        cells = [with_interval(found[split]) for split in splits]
        table.add_row(escape(name), *(cell for pair in cells for cell in pair))
    print_titled("Gain of each stage (best weights so far)", table)


def with_interval(split: SplitFigures, digits: int = 3) -> tuple[str, str]:
    """Return the accuracy of a split and its 95 % interval as texts.

    Args:
        split: figures of the split.
        digits: decimals of the interval.
    """
    return f"{split.accuracy:.4f}", f"{split.accuracy_low:.{digits}f} to {split.accuracy_high:.{digits}f}"


def _print_labels(pictures: PictureLabels) -> None:
    """Print the likeliest labels of the first images; predictions.csv has all of them."""
    table = Table()
    for column in ("image", "label", "confidence", "next"):
        table.add_column(column, overflow="fold", justify="right" if column == "confidence" else "left")
    for picture in pictures.first:
        others = ", ".join(f"{other.label} {other.confidence:.1%}" for other in picture.top[1:])
        table.add_row(escape(picture.path), escape(picture.label), f"{picture.confidence:.1%}", escape(others))
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
        console.print(f"\nNo learning rate to suggest for stage {stage}: {reason}", markup=False, soft_wrap=True)
    else:
        text = f"Suggested learning rate for stage {stage}: {rate:g}, {reason}"
        console.print(f"\n{text} (configured: {found.configured_learning_rate:g})", markup=False, soft_wrap=True)
    console.print(f"  {figure}", markup=False, soft_wrap=True)
    if rate is not None:
        console.print("\n[bold]Next[/]")
        console.print(
            f"  train with it:\n    {_command_with_rate(str(results.command), rate)}", markup=False, soft_wrap=True
        )


def _command_with_rate(command: str, rate: float) -> str:
    """Return the command of the learning rate finder, changed to train with the suggested learning rate."""
    key = "freeze.stages.0.optimizer.learning_rate"
    words = drop_overrides(shlex.split(command), ["find_lr", key])
    return shlex.join([*words, f"{key}={rate:g}"])


def _entries_wait(results: RunResults) -> bool:
    """Return whether entries wait for the tracking store."""
    return results.tracking is not None and results.tracking.waiting > 0


def _where_to_look(results: RunResults) -> str:
    """Return the command that shows the run or sends its pending entries, or the address of its page on a server."""
    uri = str(results.tracking_uri)
    if _entries_wait(results):
        return f"headstart sync {shlex.quote(str(results.output))}"
    if uri.startswith("http"):
        return f"{uri.rstrip('/')}/#/experiments/{results.experiment_id}/runs/{results.run_id}"
    if uri == sqlite_uri(Path("outputs", "mlflow.db").absolute()):
        return "headstart ui"
    return f"headstart ui --tracking-uri {shlex.quote(uri)}"
