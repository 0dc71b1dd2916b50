"""Recommend a strategy and a backbone for a data set, by probes and short trials: `headstart recommend FOLDER`."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.cli.data_arguments import add_data_arguments, dataset_name, overrides_of
from headstart.cli.errors import report_error
from headstart.cli.parser import CommandParser
from headstart.config import CELLS, Config, compose, select_overrides, strategy_overrides
from headstart.core.console import console, new_table, print_next, short_path
from headstart.core.errors import HeadstartError
from headstart.core.files import file_name, write_json
from headstart.core.paths import cache_directory, outputs_directory
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.load import load_index
from headstart.model.backbones.registry import packaged_backbones
from headstart.results.codec import to_plain
from headstart.run.display import describe_data, print_warnings
from headstart.run.preflight import check_configuration, fitting_strategies
from headstart.scenario.check import check_rankable

if TYPE_CHECKING:
    from headstart.scenario.findings import Findings
    from headstart.scenario.ranking import RankedBackbone


def main(arguments: list[str] | None = None) -> int:
    """Print the recommendation and return the exit code: 1 after an error that the user can fix."""
    options = build_parser().parse_intermixed_args(arguments)
    try:
        overrides = overrides_of(options.words)
        seconds = [] if options.seconds is None else [f"scenario.seconds={options.seconds:g}"]
        config = compose([*overrides, "scenario=auto", *seconds])
        recommend(Request(config, overrides, options.backbones, options.output))
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
        metavar="S",
        help="for trials, after one pass over all images; 0: only the frozen probe (default: scenario.seconds, 60)",
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


def recommend(request: Request) -> None:
    """Measure the scenario, try strategies, rank backbones; print and write the recommendation.

    Args:
        request: what the command asks for.

    Raises:
        HeadstartError: for an error that the user can fix.
    """
    config, backbones = request.config, request.backbones
    names = [name.strip() for name in backbones.split(",")] if backbones else packaged_backbones()
    image_size = check_configuration(config)
    check_rankable(names)
    index, report = check_images(
        load_index(config.dataset, cache_directory()),
        config.dataset.bad_images,
        cache_directory(),
        config.dataset.value_range,
    )
    console.print(f"[bold]Data[/]  {describe_data(index)}")
    print_warnings(report.warnings())

    import_tensorflow()
    from headstart.scenario.display import print_placement
    from headstart.scenario.display_strategies import print_choice
    from headstart.scenario.findings import find_strategy
    from headstart.scenario.measure import images_to_measure
    from headstart.scenario.ranking import rank_backbones
    from headstart.training.hardware import prepare_devices, seed_everything

    prepare_devices()
    seed_everything(config.seed, config.deterministic, "float32")
    found = find_strategy(config, *fitting_strategies(config), index, image_size)
    print_placement(found.placement, config.backbone.name)
    print_choice(found.choice, len(index.split("train")))
    images = images_to_measure(index, config.dataset.split.seed)
    ranked = rank_backbones(config, images, names, found.probe.features_of(images) if found.probe else None)
    print_ranking(ranked, len(images))
    _report(request, image_size, found, ranked)


def _report(request: Request, image_size: int, found: Findings, ranked: list[RankedBackbone]) -> None:
    """Write the recommendation, and print the commands to run next; the backbones are ranked, best first."""
    from headstart.scenario.display import write_figure

    name, config = dataset_name(request.config), request.config
    directory = request.output or outputs_directory() / f"recommend_{file_name(name)}"
    directory.mkdir(parents=True, exist_ok=True)
    write_figure(found.placement, f"{name}, {config.backbone.name}", directory / "probes.png")
    commands = next_commands(request.overrides, found.choice.strategy, ranked, config.backbone.name)
    written = {
        "scenario": to_plain(found.placement),
        "strategies": to_plain(found.choice),
        "backbones": [dataclasses.asdict(one) for one in ranked],
        "image_size": image_size,
        "commands": commands,
    }
    write_json(directory / "recommendation.json", written)
    console.print(f"Accuracy at every depth: {short_path(directory / 'probes.png')}", markup=False)
    print_next({command: purpose for purpose, command in commands.items()})


def next_commands(overrides: list[str], strategy: str, ranked: list[RankedBackbone], backbone: str) -> dict[str, str]:
    """Return the commands to run next, by purpose.

    Args:
        overrides: overrides from the command line.
        strategy: the recommended one.
        ranked: the backbones, best first.
        backbone: of the run.
    """
    words = strategy_overrides(overrides)[strategy]
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
    differ = len({one.weights for one in ranked}) > 1  # else names are whole at 80 columns
    weights = ("weights",) if differ else ()
    table = new_table("backbone", *weights, "px", "accuracy %", "LogME", "features", "parameters", left=("weights",))
    for one in ranked:
        figures = ("-", "-", "-", "-")
        if one.accuracy is not None and one.logme is not None:
            figures = (f"{100 * one.accuracy:.1f}", f"{one.logme:.3f}", f"{one.features:,}", f"{one.parameters:,}")
        table.add_row(one.backbone, *([one.weights] if differ else []), str(one.image_size), *figures)
    console.print(f"\n[bold]Backbones[/] by the probe of all depths, left one out, on {images:,} training images")
    console.print(table)
    for one in ranked:
        if one.accuracy is None:
            console.print(f"  {one.backbone}: {one.why_none}", markup=False)
