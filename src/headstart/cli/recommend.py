"""Recommend a scenario and a backbone for a data set, without training: `headstart recommend FOLDER`."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from headstart.cli.data_arguments import add_data_arguments, dataset_name, overrides_of
from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.config import CELLS, Config, compose, scenario_cells, select_overrides
from headstart.core.console import console, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.inference.backend import check_inference_backend
from headstart.model.backbones.registry import check_image_size, get_entry, packaged_backbones
from headstart.model.backbones.weights import check_weights
from headstart.model.image_size import choose_image_size
from headstart.run.display import print_data
from headstart.scenario.check import check_measurable, check_rankable

if TYPE_CHECKING:
    from headstart.scenario.ranking import RankedBackbone


def main(arguments: list[str] | None = None) -> int:
    """Print the recommendation and return the exit code: 1 after an error that the user can fix."""
    options = build_parser().parse_intermixed_args(arguments)
    try:
        overrides = overrides_of(options.words)
        config = compose([*overrides, "scenario=auto"])
        recommend(config, overrides, options.backbones, options.output)
    except (HeadstartError, OSError) as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart recommend", description=__doc__)
    add_data_arguments(parser)
    parser.add_argument(
        "--backbones", metavar="A,B", help="backbones to rank by LogME (default: those with packaged weights)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where to write recommendation.json and probes.png (default: outputs/recommend_NAME)",
    )
    return parser


def recommend(config: Config, overrides: list[str], backbones: str | None, output: Path | None) -> None:
    """Measure the scenario and rank the backbones; print and write the recommendation.

    Args:
        config: a configuration with `scenario=auto`.
        overrides: overrides that it was composed with, without the scenario.
        backbones: comma-separated backbones to rank; None: those with packaged weights.
        output: directory to write to; None: `recommend_NAME` in the outputs directory.
    """
    names = [name.strip() for name in backbones.split(",")] if backbones else packaged_backbones()
    image_size = check(config, names)
    index, report = check_images(
        load_index(config.dataset, cache_directory()),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    print_data(index, report.warnings())

    import_tensorflow()
    from headstart.features.activation_cache import open_activation_cache
    from headstart.scenario.display import print_curve, print_placement, write_figure
    from headstart.scenario.measure import images_to_measure, measure_scenario
    from headstart.scenario.ranking import rank_backbones
    from headstart.training.hardware import prepare_devices, seed_everything

    prepare_devices()
    seed_everything(config.seed, config.deterministic, "float32")
    placement = measure_scenario(config, index, image_size, open_activation_cache(config, image_size))
    print_curve(placement)
    print_placement(placement, scenario_cells(config))
    images = images_to_measure(index, config.dataset.split.seed)
    ranked = rank_backbones(config, images, names)
    print_ranking(ranked, len(images))

    name = dataset_name(config)
    directory = output or outputs_directory() / f"recommend_{file_name(name)}"
    directory.mkdir(parents=True, exist_ok=True)
    write_figure(placement, f"{name}, {config.backbone.name}", directory / "probes.png")
    commands = next_commands(overrides, placement.cell, ranked)
    found = {"scenario": placement.to_dict(), "backbones": [dataclasses.asdict(one) for one in ranked]}
    write_json(directory / "recommendation.json", {**found, "image_size": image_size, "commands": commands})
    console.print(f"\n  {directory / 'probes.png'}", markup=False, soft_wrap=True)
    console.print("\n[bold]Next[/]")
    for purpose, command in commands.items():
        console.print(f"  {purpose}:\n    {command}", markup=False, soft_wrap=True)


def check(config: Config, names: list[str]) -> int:
    """Check the configuration before any image is read, and return the image size in pixels.

    Args:
        config: a configuration with `scenario=auto`.
        names: the backbones to rank.
    """
    entry = get_entry(config.backbone.name)
    check_measurable(config)
    check_inference_backend(config.inference_backend)
    check_weights(entry, config.backbone.weights)
    image_size = choose_image_size(config, entry)
    check_image_size(entry, image_size)
    check_rankable(names)
    return image_size


def next_commands(overrides: list[str], cell: str, ranked: list[RankedBackbone]) -> dict[str, str]:
    """Return the commands to run next, by purpose.

    Args:
        overrides: overrides from the command line.
        cell: the measured scenario.
        ranked: the backbones, best first.
    """
    given = bool(select_overrides(overrides, ["backbone"]))
    best = next((one.backbone for one in ranked if one.logme is not None), None)
    common = [*overrides, *([] if given or best is None else [f"backbone={best}"])]
    return {
        "train for this scenario": shlex.join(["headstart", "train", *common, f"scenario={cell}"]),
        "or compare all four scenarios": shlex.join(
            ["headstart", "train", "-m", *common, f"scenario={','.join(CELLS)}", "seed=0,1,2"]
        ),
    }


def print_ranking(ranked: list[RankedBackbone], images: int) -> None:
    """Print the backbones, best first.

    Args:
        ranked: the result of `rank_backbones`.
        images: number of images that they were ranked on.
    """
    table = Table()
    for column in ("backbone", "weights", "px", "LogME", "features", "parameters"):
        table.add_column(column, justify="left" if column in ("backbone", "weights") else "right")
    for one in ranked:
        figures = ("-", "-", "-")
        if one.logme is not None:
            figures = (f"{one.logme:.4f}", f"{one.features:,}", f"{one.parameters:,}")
        table.add_row(one.backbone, one.weights, str(one.image_size), *figures)
    print_titled(f"Backbones by LogME on {images:,} training images (higher is better)", table)
    for one in ranked:
        if one.logme is None:
            console.print(f"  {one.backbone}: {one.why_none}", markup=False, soft_wrap=True)
