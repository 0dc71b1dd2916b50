"""Recommend a strategy and a backbone for a data set, by probes and short trials: `headstart recommend FOLDER`."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from headstart.cli.data_arguments import add_data_arguments, dataset_name, overrides_of
from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.cli.recommend_strategy import (
    compose_strategies,
    plain_strategies,
    print_probe_curve,
    print_strategies,
    strategy_overrides,
)
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
    from headstart.scenario.probes import ProbeCurve
    from headstart.scenario.ranking import RankedBackbone
    from headstart.scenario.square import Placement
    from headstart.scenario.trials import Recommendation


SECONDS = 60.0  # for trials


def main(arguments: list[str] | None = None) -> int:
    """Print the recommendation and return the exit code: 1 after an error that the user can fix."""
    options = build_parser().parse_intermixed_args(arguments)
    try:
        overrides = overrides_of(options.words)
        config = compose([*overrides, "scenario=auto"])
        recommend(Request(config, overrides, options.backbones, options.output, options.seconds))
    except (HeadstartError, OSError) as error:
        return report_error(error)
    return 0


def build_parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="headstart recommend", description=__doc__)
    add_data_arguments(parser)
    parser.add_argument("--backbones", metavar="A,B", help="backbones to rank (default: those with packaged weights)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help="time for trials of fine-tuning strategies; 0: only the probe (default: %(default)g)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where to write recommendation.json and probes.png (default: outputs/recommend_NAME)",
    )
    return parser


@dataclass(frozen=True)
class Request:
    """What the command asks for."""

    config: Config  # with `scenario=auto`
    overrides: list[str]  # that it was composed with, without the scenario
    backbones: str | None  # comma-separated, to rank; None: those with packaged weights
    output: Path | None  # directory to write to; None: `recommend_NAME` in the outputs directory
    seconds: float  # for the trials of strategies


def recommend(request: Request) -> None:
    """Measure the scenario, try strategies, rank backbones; print and write the recommendation.

    Args:
        request: what the command asks for.

    Raises:
        HeadstartError: for an error that the user can fix.
    """
    config, backbones = request.config, request.backbones
    names = [name.strip() for name in backbones.split(",")] if backbones else packaged_backbones()
    image_size = check(config, names)
    strategies = compose_strategies(request.overrides)
    index, report = check_images(
        load_index(config.dataset, cache_directory()),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    print_data(index, report.warnings())

    import_tensorflow()
    from headstart.features.activation_cache import open_activation_cache
    from headstart.scenario.display import print_curve, print_placement
    from headstart.scenario.measure import images_to_measure, measure_scenario
    from headstart.scenario.probes import multi_depth_probe
    from headstart.scenario.ranking import rank_backbones
    from headstart.scenario.trials import try_strategies
    from headstart.training.hardware import prepare_devices, seed_everything

    prepare_devices()
    seed_everything(config.seed, config.deterministic, "float32")
    activations = open_activation_cache(config, image_size)
    placement = measure_scenario(config, index, image_size, activations)
    print_curve(placement)
    print_placement(placement, scenario_cells(config))
    probe = multi_depth_probe(config, index, image_size, activations)
    curve = probe.curve()
    strategy = try_strategies(strategies, probe, image_size, activations, request.seconds)
    print_strategies(strategy, len(probe.training), len(probe.validation))
    print_probe_curve(curve)
    images = images_to_measure(index, config.dataset.split.seed)
    ranked = rank_backbones(config, images, names)
    print_ranking(ranked, len(images))
    _report(request, image_size, Findings(placement, strategy, curve, ranked))


@dataclass(frozen=True)
class Findings:
    """What was measured."""

    placement: Placement
    strategy: Recommendation
    curve: ProbeCurve
    ranked: list[RankedBackbone]  # best first


def _report(request: Request, image_size: int, found: Findings) -> None:
    """Write the recommendation, and print the commands to run next."""
    from headstart.scenario.display import write_figure

    name, config = dataset_name(request.config), request.config
    directory = request.output or outputs_directory() / f"recommend_{file_name(name)}"
    directory.mkdir(parents=True, exist_ok=True)
    write_figure(found.placement, f"{name}, {config.backbone.name}", directory / "probes.png")
    commands = next_commands(request.overrides, found.strategy.strategy, found.ranked, config.backbone.name)
    written = {
        "scenario": found.placement.to_dict(),
        "strategies": plain_strategies(found.strategy, found.curve),
        "backbones": [dataclasses.asdict(one) for one in found.ranked],
        "image_size": image_size,
        "commands": commands,
    }
    write_json(directory / "recommendation.json", written)
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


def next_commands(overrides: list[str], strategy: str, ranked: list[RankedBackbone], backbone: str) -> dict[str, str]:
    """Return the commands to run next, by purpose.

    Args:
        overrides: overrides from the command line.
        strategy: the recommended one.
        ranked: the backbones, best first.
        backbone: of the run.
    """
    words = strategy_overrides(strategy, overrides)
    found = {
        "train with the recommended strategy": shlex.join(["headstart", "train", *overrides, *words]),
        "or compare all four scenarios": shlex.join(
            ["headstart", "train", "-m", *overrides, f"scenario={','.join(CELLS)}", "seed=0,1,2"]
        ),
    }
    best = ranked[0]
    if best.accuracy is not None and best.backbone != backbone and not select_overrides(overrides, ["backbone"]):
        found[f"or with {best.backbone}, which leads the backbones"] = shlex.join(
            ["headstart", "train", *overrides, f"backbone={best.backbone}", *words]
        )
    return found


def print_ranking(ranked: list[RankedBackbone], images: int) -> None:
    """Print the backbones, best first.

    Args:
        ranked: the result of `rank_backbones`.
        images: number of images that they were ranked on.
    """
    table = Table()
    for column in ("backbone", "weights", "px", "accuracy", "LogME", "features", "parameters"):
        table.add_column(column, justify="left" if column in ("backbone", "weights") else "right")
    for one in ranked:
        figures = ("-", "-", "-", "-")
        if one.accuracy is not None and one.logme is not None:
            figures = (f"{one.accuracy:.4f}", f"{one.logme:.4f}", f"{one.features:,}", f"{one.parameters:,}")
        table.add_row(one.backbone, one.weights, str(one.image_size), *figures)
    print_titled(f"Backbones by the probe of all depths, left one out, on {images:,} training images", table)
    for one in ranked:
        if one.accuracy is None:
            console.print(f"  {one.backbone}: {one.why_none}", markup=False, soft_wrap=True)
