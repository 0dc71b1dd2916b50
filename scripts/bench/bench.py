"""Measure what makes headstart fast, both sides in one run.

python scripts/bench/bench.py frozen --json frozen.json
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TypeAlias

from bench_reports import hardware, read_report
from disk_use import disk
from fixed_cost import fixed_cost
from gradients import gradients
from headstart.core.console import console
from headstart.core.error_output import print_error
from headstart.core.errors import HeadstartError
from headstart.core.files import write_json
from headstart.core.markdown_page import replace_block
from headstart.core.paths import outputs_directory
from headstart.core.program import exit_with
from parts import inference_backend, pipeline
from setting_values import settings
from sweep_jobs import jobs
from whole_commands import frozen, last_block, memory, startup

ROOT = Path(__file__).absolute().parents[2]

PAGE = ROOT / "docs" / "performance.md"
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
LEAST_EPOCHS = 3  # of a side that is scaled: the first one builds the graph, and of one other there is no median


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, or write the page from what earlier ones found, and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parse(given)
    try:
        if options.benchmark is None:
            for file in options.files:
                report = read_report(file)
                replace_block(PAGE, f"bench: {report.name}", report.markdown())
                console.print(f"{report.name}: written into {PAGE}", markup=False, soft_wrap=True)
            return 0
        check(options)
        report = options.benchmark(options)
        report.command, report.hardware = own_command(given), hardware()
        report.print()
        if options.json is not None:
            write_json(options.json, report.to_json())
    except HeadstartError as error:
        print_error(error)
        return 1
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    add_cached_against_uncached(commands)
    add_resources(commands)
    add_parts(commands)

    command = commands.add_parser(
        "settings", parents=[place_options()], help="time and accuracy of one setting's values, over seeds"
    )
    command.add_argument("--run", required=True, metavar="OVERRIDES", help="of `headstart train`, in quotes")
    command.add_argument("--vary", required=True, metavar="KEY=A,B", help="the setting and its values")
    command.add_argument("--seeds", default="0,1,2", metavar="A,B", help="0,1,2")
    command.add_argument("--name", default="settings", help="of the table in docs/performance.md (settings)")
    command.set_defaults(benchmark=settings)

    command = commands.add_parser("docs", help="write tables into docs/performance.md")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="that --json wrote")
    command.set_defaults(benchmark=None)

    options = parser.parse_args(arguments)
    if options.benchmark is not None:
        options.directory = (options.directory or outputs_directory() / "bench").absolute()
    return options


def add_cached_against_uncached(commands: Commands) -> None:
    """Add the benchmarks that run a whole training with the activation cache and without."""
    fewer = argparse.ArgumentParser(add_help=False, parents=[common_options(repetitions=3), images_option(500)])
    fewer.add_argument("--uncached-epochs", type=positive, default=3, metavar="N", help="that cache=off runs (3)")

    command = commands.add_parser("frozen", parents=[fewer, one_backbone()], help="a head on a frozen backbone")
    command.add_argument("--epochs", type=positive, default=50, metavar="N", help="to compare for (50)")
    command.add_argument("--inference-backend", choices=("auto", "openvino", "tensorflow"), help="that fills the cache")
    command.set_defaults(benchmark=frozen)

    command = commands.add_parser("last_block", parents=[fewer], help="the last block fine-tuned")
    command.add_argument("--epochs", type=positive, default=10, metavar="N", help="to compare for (10)")
    add_backbones(command, "efficientnet_lite0,inceptionv3,vgg16", "224 for lite0, else 150")
    command.set_defaults(benchmark=last_block)


def add_resources(commands: Commands) -> None:
    """Add the benchmarks of memory, disk and the cost of starting."""
    command = commands.add_parser(
        "memory",
        parents=[common_options(repetitions=1), one_backbone()],
        help="peak memory on few images and on many",
    )
    command.add_argument("--few", type=positive, default=2000, metavar="N", help="images (2000)")
    command.add_argument("--many", type=positive, default=20000, metavar="N", help="images (20000)")
    command.add_argument("--epochs", type=positive, default=1, metavar="N", help="1")
    command.set_defaults(benchmark=memory)

    common = common_options(repetitions=3)
    command = commands.add_parser("disk", parents=[common, images_option(200)], help="disk use against its estimate")
    command.add_argument("--epochs", type=positive, default=2, metavar="N", help="of each stage (2)")
    add_backbones(command, "small_cnn,efficientnet_lite0,resnet50", "32 for small_cnn, else 64")
    command.set_defaults(benchmark=disk)

    command = commands.add_parser(
        "startup",
        parents=[common, one_backbone(), images_option(200)],
        help="help, --cfg job, the first step of a job",
    )
    command.set_defaults(benchmark=startup)

    command = commands.add_parser(
        "fixed_cost",
        parents=[common, one_backbone(), images_option(500)],
        help="the phases of a command with everything cached",
    )
    command.add_argument("--epochs", type=positive, default=50, metavar="N", help="of a head (50)")
    command.add_argument("--against", metavar="REVISION", help="of git, run in turn with this one")
    command.set_defaults(benchmark=fixed_cost)

    command = commands.add_parser("jobs", parents=[common], help="a job of a sweep against a command of its own")
    command.add_argument("--jobs", type=positive, default=8, metavar="N", help="of each side (8)")
    command.set_defaults(benchmark=jobs)


def add_parts(commands: Commands) -> None:
    """Add the benchmarks of parts of a run: the input pipeline, the inference backends and a training step."""
    common = common_options(repetitions=3)
    command = commands.add_parser(
        "pipeline",
        parents=[common, one_backbone(), images_option(500)],
        help="input alone, and how long training waits",
    )
    command.set_defaults(benchmark=pipeline)

    command = commands.add_parser(
        "inference_backend", parents=[common, one_backbone()], help="TensorFlow against OpenVINO"
    )
    command.add_argument("--batch-size", type=positive, default=32, metavar="N", help="images (32)")
    command.add_argument("--batches", type=positive, default=10, metavar="N", help="of each repetition (10)")
    command.set_defaults(benchmark=inference_backend)

    command = commands.add_parser("gradients", parents=[common], help="a training step with TensorFlow's gradients")
    command.add_argument("--steps", type=positive, default=5, metavar="N", help="of each repetition (5)")
    add_backbones(command, "efficientnet_lite0,mobilenetv2,efficientnetb0,resnet50,inceptionv3", "128")
    command.set_defaults(benchmark=gradients)


def one_backbone() -> argparse.ArgumentParser:
    """Return the options of a benchmark of one backbone."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--backbone", default="efficientnet_lite0", metavar="NAME", help="efficientnet_lite0")
    parser.add_argument("--image-size", type=positive, default=224, metavar="N", help="side in pixels (224)")
    return parser


def add_backbones(command: argparse.ArgumentParser, names: str, sizes: str) -> None:
    """Add the options of a benchmark of several backbones.

    Args:
        command: gets the options.
        names: of the backbones, with commas between them.
        sizes: the image sizes where none is given, in words.
    """
    command.add_argument("--backbones", default=names, metavar="A,B", help="with commas between them")
    command.add_argument("--image-size", type=positive, metavar="N", help=f"side in pixels ({sizes})")


def images_option(count: int) -> argparse.ArgumentParser:
    """Return the option for the number of JPEGs.

    Args:
        count: where none is given.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--images", type=positive, default=count, metavar="N", help=f"JPEGs to draw ({count})")
    return parser


def place_options() -> argparse.ArgumentParser:
    """Return the options that say where things go."""
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument("--json", type=Path, metavar="FILE", help="write every figure here, for `docs`")
    places.add_argument("--directory", type=Path, help="for pictures and runs (outputs/bench); the pictures stay")
    return places


def common_options(repetitions: int) -> argparse.ArgumentParser:
    """Return the options that every benchmark has.

    Args:
        repetitions: where none are asked for.
    """
    common = argparse.ArgumentParser(add_help=False, parents=[place_options()])
    common.add_argument(
        "--repetitions", type=positive, default=repetitions, metavar="N", help=f"of both sides, in turn ({repetitions})"
    )
    common.add_argument("--weights", metavar="NAME", help="of the backbone, none for random ones (its own)")
    return common


def positive(text: str) -> int:
    """Return a whole number above zero."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def check(options: argparse.Namespace) -> None:
    """Raise for what cannot be compared, before anything is computed.

    Raises:
        HeadstartError: when the uncached side runs too few epochs or more than the other one.
    """
    epochs = getattr(options, "uncached_epochs", None)
    if epochs is not None and not min(LEAST_EPOCHS, options.epochs) <= epochs <= options.epochs:
        raise HeadstartError(
            f"Expected --uncached-epochs to be at least {min(LEAST_EPOCHS, options.epochs)}, and at most --epochs "
            f"({options.epochs}). Received: {epochs}"
        )


def own_command(arguments: list[str]) -> str:
    """Return the command of this program without what names places of this machine."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for place in ("--json", "--directory"):
        parser.add_argument(place)
    _, rest = parser.parse_known_args(arguments)
    return shlex.join(["python", "scripts/bench/bench.py", *rest])


if __name__ == "__main__":
    exit_with(main, ROOT)
