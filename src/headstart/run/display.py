"""What a run shows a person: the data, what was derived, the results, and what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from rich.markup import escape
from rich.table import Table

from headstart.config import Config, from_yaml, parameters, without
from headstart.core.console import console, print_titled
from headstart.core.errors import printable
from headstart.core.sqlite_uri import sqlite_uri
from headstart.run.reproduce import sentence

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.model.network import Network

PHASES = {
    "start_up": "start-up",
    "data": "checking the data",
    "scenario": "measuring the scenario",
    "model": "building the model",
    "training": "training",
    "saving": "saving",
    "evaluation": "evaluation",
    "tracking": "tracking",
}
WIDTH_OF_COUNTS = 45  # characters, of the columns beside the names of the classes
LONGEST_CLASS_TABLE = 20  # rows; more would push everything else off the screen


def print_configuration(file: Path) -> None:
    """Print the resolved configuration and where it was written; what `scenario=auto` may choose is in the file."""
    console.print(f"[bold]Configuration[/]  {escape(str(file))}", soft_wrap=True)
    shown = parameters(from_yaml(file.read_text(encoding="utf-8")))
    console.print(OmegaConf.to_yaml(OmegaConf.create(shown)), end="", markup=False, soft_wrap=True)


def print_data(index: ImageIndex, warnings: list[str]) -> None:
    """Print the images of each class and split, and what the check of the files found.

    Args:
        index: the images that will be used.
        warnings: sentences.
    """
    if len(index.class_names) == 1:
        console.print(f"\n[bold]Data: {len(index):,} pictures without labels[/]")
    else:
        print_titled(f"Data: {len(index):,} images of {len(index.class_names)} classes", _class_table(index))
    for warning in warnings:
        console.print(f"  Warning: {warning}", markup=False, soft_wrap=True)


def _class_table(index: ImageIndex) -> Table:
    """Return the images of each class and split, the classes that are too many in one row."""
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


def print_derived(results: dict[str, Any], config: Config, network: Network) -> None:
    """Print what follows from the configuration and the data, before any time is spent on it.

    Args:
        results: what is known so far, of the dataset and the environment.
        config: the run's configuration.
        network: that will be trained.
    """
    dataset, environment = results["dataset"], results["environment"]
    training = dataset["images"]["train"]
    steps = f"{-(-training // config.batch_size)} an epoch" if training else "none, nothing is trained"
    origin = "given" if config.image_size else "suits the dataset and the backbone"
    weights = "random weights" if config.backbone.weights == "none" else f"weights {config.backbone.weights}"
    facts = {
        "fingerprint": dataset["fingerprint"][:16],
        "image size": f"{dataset['image_size']} px ({origin})",
        "steps": f"{steps}, batches of {config.batch_size}",
        "backbone": f"{config.backbone.name}, {weights}, {len(network.blocks)} blocks",
        "parameters": f"{network.classifier.count_params():,}",
        "precision": environment["precision"] + (f" on {len(environment['gpus'])} GPU" if environment["gpus"] else ""),
    }
    if environment["engine"] != "tensorflow":
        facts["engine"] = f"{environment['engine']}, of what only goes forward"
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(f"  {name}", escape(value))
    console.print(table)


def print_end(results: dict[str, Any]) -> None:
    """Print the figures of every split, or the labels of pictures without such, and the next commands to try.

    Args:
        results: what `results.json` says.
    """
    if "pictures" in results:
        _print_labels(results["pictures"])
    else:
        _print_splits(results)
    seconds = results["seconds"]
    longest = sorted((phase for phase in PHASES if phase in seconds), key=lambda phase: -seconds[phase])[:4]
    shares = ", ".join(f"{seconds[phase]:.0f} s {PHASES[phase]}" for phase in longest)
    console.print(f"  {seconds['total']:.0f} s in all: {shares}")
    console.print("\n[bold]Next[/]")
    output = shlex.quote(results["output"])
    figures = (
        "the pictures with their labels" if "pictures" in results else "confusion matrices, history, worst mistakes"
    )
    commands = {
        f"headstart predict {output} IMAGE_OR_FOLDER": "label your own pictures",
        _where_to_look(results): (
            "send what waits, when the tracking store answers again"
            if results["tracking"]["waiting"]
            else "look at the run in MLflow, compare it with others"
        ),
        f"ls {output}/figures": figures,
    }
    for command, purpose in commands.items():
        console.print(f"  {purpose}:\n    {command}", markup=False, soft_wrap=True)


def _print_splits(results: dict[str, Any]) -> None:
    """Print the figures of every split, and what is most often taken for what."""
    best = results["best_epoch"]
    table = Table()
    for column in ("split", "images", "accuracy", "95 % interval", "macro F1", "calibration\nerror"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in results["splits"].items():
        table.add_row(
            name,
            f"{split['images']:,}",
            *_with_interval(split),
            f"{split['macro_f1']:.4f}",
            f"{split['calibration_error']:.4f}",
        )
    print_titled(f"Results of the saved classifier (epoch {best['epoch']}, stage {best['stage']})", table)
    last, split = list(results["splits"].items())[-1]
    for true, predicted, images in split["most_confused"][:3]:
        console.print(
            f"  {last}: {images} of {printable(true)} taken for {printable(predicted)}", markup=False, soft_wrap=True
        )
    if len(results.get("stages", {})) > 1:
        _print_gain(results["stages"])


def _print_gain(stages: dict[str, Any]) -> None:
    """Print the accuracy of every split after each stage, so that what a stage gained can be seen."""
    splits = list(next(iter(stages.values())))
    table = Table()
    table.add_column("after the stage")
    for split in splits:
        table.add_column(f"{split}\naccuracy", justify="right")
        table.add_column("\n95 % interval", justify="right")
    for name, found in stages.items():
        cells = [_with_interval(found[split]) for split in splits]
        table.add_row(escape(name), *(cell for pair in cells for cell in pair))
    print_titled("What each stage gained (the best weights so far, after each)", table)


def _with_interval(split: dict[str, Any], digits: int = 3) -> tuple[str, str]:
    """Return the accuracy of a split and its 95 % interval as texts."""
    low, high = (f"{split[bound]:.{digits}f}" for bound in ("accuracy_low", "accuracy_high"))
    return f"{split['accuracy']:.4f}", f"{low} to {high}"


def _print_labels(pictures: dict[str, Any]) -> None:
    """Print the likeliest labels of the first pictures; predictions.csv has those of all."""
    table = Table()
    for column in ("picture", "label", "confidence", "next"):
        table.add_column(column, overflow="fold", justify="right" if column == "confidence" else "left")
    for row in pictures["first"]:
        others = ", ".join(f"{other['label']} {other['confidence']:.1%}" for other in row["top"][1:])
        table.add_row(escape(row["path"]), escape(row["label"]), f"{row['confidence']:.1%}", escape(others))
    if pictures["images"] > len(pictures["first"]):
        table.add_row(f"... and {pictures['images'] - len(pictures['first']):,} more", "", "", "in predictions.csv")
    print_titled("Labels by the saved classifier", table)


def print_suggestion(results: dict[str, Any]) -> None:
    """Print the learning rate that a sweep suggests and the command that uses it.

    Args:
        results: what `results.json` says.
    """
    rate, figure = results["suggested_learning_rate"], Path(results["output"]) / "figures" / "learning_rate.png"
    stage, reason = results["stage"], results["suggestion_reason"]
    if rate is None:
        console.print(f"\nNo learning rate to suggest for stage {stage}: {reason}", markup=False, soft_wrap=True)
    else:
        said = f"Suggested learning rate for stage {stage}: {rate:g}, {reason}"
        console.print(f"\n{said} (configured: {results['configured_learning_rate']:g})", markup=False, soft_wrap=True)
    console.print(f"  {figure}", markup=False, soft_wrap=True)
    if rate is not None:
        console.print("\n[bold]Next[/]")
        console.print(f"  train with it:\n    {_command_with_rate(results)}", markup=False, soft_wrap=True)


def _command_with_rate(results: dict[str, Any]) -> str:
    """Return the command of a sweep as one that trains its stage, and no other, at the suggested rate."""
    key = "freeze.stages.0.optimizer.learning_rate"
    words = without(shlex.split(results["command"]), ["find_lr", key])
    return shlex.join([*words, f"{key}={results['suggested_learning_rate']:g}"])


def _where_to_look(results: dict[str, Any]) -> str:
    """Return the command that shows the tracking store, or sends what waits for it, or the run's page on a server."""
    uri = results["tracking_uri"]
    if results["tracking"]["waiting"]:
        return f"headstart sync {shlex.quote(results['output'])}"
    if uri.startswith("http"):
        return f"{uri.rstrip('/')}/#/experiments/{results['experiment_id']}/runs/{results['run_id']}"
    if uri == sqlite_uri(Path("outputs", "mlflow.db").absolute()):
        return "headstart ui"
    return f"headstart ui --tracking-uri {shlex.quote(uri)}"


def _markdown_of_labels(results: dict[str, Any], config: Config) -> list[str]:
    """Return lines about the first pictures and their labels, and an empty one."""
    pictures = results["pictures"]
    rows = [(row["path"].replace("|", "\\|"), row["label"], f"{row['confidence']:.4f}") for row in pictures["first"]]
    return [
        "| picture | label | confidence |",
        "| --- | --- | ---: |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"{pictures['images']:,} pictures, {config.backbone.name} as it is, {results['dataset']['image_size']} px.",
        "",
    ]


def markdown(results: dict[str, Any], config: Config) -> str:
    """Return what MLflow shows at the top of the run's page.

    Args:
        results: the figures so far.
        config: the run's configuration.
    """
    figures = _markdown_of_labels if "pictures" in results else _markdown_of_splits
    reproduced = [sentence(results["reproduces"]), ""] if "reproduces" in results else []
    return "\n".join([*reproduced, *figures(results, config), f"`{results['command']}`"])


def _markdown_of_splits(results: dict[str, Any], config: Config) -> list[str]:
    """Return lines with the figures of every split, the best epoch, stages and scenario, and an empty one."""
    best = results["best_epoch"]
    return [
        "| split | images | accuracy | 95 % interval | macro F1 |",
        "| --- | ---: | ---: | --- | ---: |",
        *(
            f"| {name} | {split['images']:,} | {' | '.join(_with_interval(split, 4))} | {split['macro_f1']:.4f} |"
            for name, split in results["splits"].items()
        ),
        "",
        *_markdown_of_stages(results.get("stages", {})),
        f"Best epoch {best['epoch']} (stage {best['stage']}), {config.backbone.name}, head {config.head.name}, "
        f"freeze {config.freeze.name}, {results['dataset']['image_size']} px, seed {config.seed}.",
        "",
        *_markdown_of_scenario(results.get("scenario", {})),
    ]


def _markdown_of_scenario(scenario: dict[str, Any]) -> list[str]:
    """Return lines about the scenario of a run, what was measured of it too, and an empty one."""
    if not scenario.get("cell"):
        return []
    measured = [f"- {sentence}" for sentence in scenario.get("why", [])]
    return [
        f"Scenario {scenario['cell']}{', measured:' if measured else '.'}",
        "",
        *measured,
        *([""] if measured else []),
    ]


def _markdown_of_stages(stages: dict[str, Any]) -> list[str]:
    """Return lines with the accuracy of every split after each of several stages, and an empty one."""
    if len(stages) < 2:
        return []
    rows = [
        f"| {name} | {split} | {' | '.join(_with_interval(figures, 4))} |"
        for name, splits in stages.items()
        for split, figures in splits.items()
    ]
    return ["| after the stage | split | accuracy | 95 % interval |", "| --- | --- | ---: | --- |", *rows, ""]
