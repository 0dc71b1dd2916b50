"""Print the head of a run: its data, network, schedule, hardware and directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf
from rich import box
from rich.markup import escape
from rich.table import Table

from headstart.config import Config, StageConfig, parameters
from headstart.config.identity import data_name
from headstart.core.console import console, count_of, print_titled, short_path
from headstart.core.errors import printable
from headstart.results.sections import Dataset, Environment
from headstart.training.linear_head import linear_fit

if TYPE_CHECKING:
    from headstart.data.index import ImageIndex
    from headstart.model.network import Network

WIDTH_OF_COUNTS = 45  # characters of all columns but the class names
LONGEST_CLASS_TABLE = 20  # rows, so that the rest stays on the screen


def print_name(name: str) -> None:
    """Print the name of a run."""
    console.print(f"[bold]{escape(name)}[/]")


def print_run_data(config: Config, index: ImageIndex) -> None:
    """Print a line about the images of a run.

    Args:
        config: the run's configuration.
        index: the images that the run will use.
    """
    _print_fact("data", f"{data_name(config)}, {describe_data(index)}")


def describe_data(index: ImageIndex) -> str:
    """Return the numbers of images, classes and images by split in words.

    Args:
        index: the images.
    """
    if len(index.class_names) == 1:
        return count_of(len(index), "unlabelled image")
    parts = []
    for split, counts in index.counts().items():
        least, most = int(counts.min()), int(counts.max())
        spread = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        parts.append(f"{counts.sum():,} {split}" + (f" ({spread} a class)" if split == "train" and most else ""))
    return f"{len(index):,} images of {len(index.class_names)} classes: {', '.join(parts)}"


def print_facts(
    index: ImageIndex, dataset: Dataset, environment: Environment, config: Config, network: Network, output: Path
) -> None:
    """Print what follows from the configuration and the data, before training; with `verbose` the table of all classes.

    Args:
        index: the images that the run will use.
        dataset: what describes them.
        environment: versions and machine.
        config: the run's configuration.
        network: the network that the run will train.
        output: directory of the run.
    """
    weights = "random weights" if config.backbone.weights == "none" else f"{config.backbone.weights} weights"
    size = f"{dataset.image_size} px" + ("" if config.image_size else " (default)")
    parameters = f"{network.classifier.count_params():,} parameters"
    _print_fact("model", f"{config.backbone.name}, {weights}, {size}; head {config.head.name}; {parameters}")
    if config.head.output != "imagenet":
        stages = ", then ".join(_stage_in_words(config, stage) for stage in config.freeze.stages)
        _print_fact("schedule", f"{stages}; batches of {config.batch_size}")
    _print_fact("hardware", _hardware(environment))
    _print_fact("directory", short_path(output))
    if config.verbose:
        _print_fact("images", f"fingerprint {dataset.fingerprint[:16]}")
        if len(index.class_names) > 1:
            print_data(index, [])


def _stage_in_words(config: Config, stage: StageConfig) -> str:
    """Return the name of a stage, with its epochs or the way its head is solved."""
    solved = linear_fit(config.head, stage)
    if solved is not None:
        return f"{stage.name} (solved by {solved})"
    return f"{stage.name} ({count_of(stage.epochs, 'epoch')})"


def _hardware(environment: Environment) -> str:
    """Return processors or GPUs, the precision, and the backend of inference if it is not TensorFlow."""
    devices = count_of(environment.processors or 1, "CPU core")
    if environment.gpus:
        devices = f"{len(environment.gpus)} GPU ({environment.gpus[0]})"
    backend = (
        "" if environment.inference_backend == "tensorflow" else f", {environment.inference_backend} for inference"
    )
    return f"{devices}, {environment.precision}{backend}"


def _print_fact(name: str, value: str) -> None:
    console.print(f"  [dim]{name:<9}[/]  {escape(value)}")


def print_configuration(file: Path, config: Config) -> None:
    """Print the path of config.yaml and the resolved configuration, without what `scenario=auto` chooses from.

    Args:
        file: that has been written.
        config: in it.
    """
    console.print(f"[bold]Configuration[/]  {escape(str(file))}")
    console.print(OmegaConf.to_yaml(OmegaConf.create(parameters(config))), end="", markup=False, soft_wrap=True)


def print_data(index: ImageIndex, warnings: list[str]) -> None:
    """Print a table of the number of images by class and split, and the warnings of the checks.

    Args:
        index: the images that the run will use.
        warnings: sentences.
    """
    if len(index.class_names) == 1:
        console.print(f"\n[bold]Data: {describe_data(index)}[/]")
    else:
        print_titled(f"Data: {len(index):,} images of {len(index.class_names)} classes", _class_table(index))
    print_warnings(warnings)


def print_warnings(warnings: list[str]) -> None:
    """Print warnings about the images.

    Args:
        warnings: sentences.
    """
    for warning in warnings:
        console.print(f"  Warning: {warning}", markup=False)


def _class_table(index: ImageIndex) -> Table:
    """Return a table of the number of images by class and split; one row sums up the classes that do not fit."""
    counts = index.counts()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
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
