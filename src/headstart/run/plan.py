"""`plan=true`: print a run's images, stages, estimated time and disk space, without running it."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.markup import escape

from headstart.config import Config
from headstart.config.identity import run_name
from headstart.config.train_targets import target_text, write_target
from headstart.core.console import console, format_duration, new_table, print_titled
from headstart.core.errors import HeadstartError
from headstart.core.full_disk import nearest_existing
from headstart.core.paths import cache_directory
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.model.imagenet import imagenet_classes
from headstart.run.display import print_data
from headstart.run.estimate import COPIES, count_epochs, estimate_from, past_runs
from headstart.run.preflight import check_configuration
from headstart.run.resume import find_interrupted
from headstart.tracking import artifacts_directory, store_uri


@dataclass(frozen=True)
class Costs:
    """The estimated time and disk space of a run."""

    seconds: float | None  # None if there is no estimate
    source: str  # basis of the estimate, or why there is none
    bytes: float | None


def plan_run(config: Config, output: Path) -> None:
    """Print the plan of a run; if no similar run has finished, time a few training steps.

    Args:
        config: the resolved configuration, with `plan=true`.
        output: the directory that the run would have.

    Raises:
        HeadstartError: if the run would fail its checks, or does not train.
    """
    for key, asked in (("find_lr", config.find_lr), ("reproduce", config.reproduce is not None)):
        if asked:
            raise HeadstartError(f"Pass plan=true or {key}, not both: plan=true estimates training runs")
    image_size = check_configuration(config)
    index = load_index(config.dataset, cache_directory(), config.cv)
    console.print(f"\n[bold]Plan of {escape(run_name(config))}[/]")
    print_data(index, list(index.notes))
    trains = config.head.output != "imagenet"
    if trains and config.scenario.name != "auto":
        _print_stages(config, index)
    images = {split: int(counts.sum()) for split, counts in index.counts().items()}
    work = float(images["train"] * count_epochs(config) * image_size**2)
    found = estimate_from(past_runs(), config, work)
    if found is not None:
        costs = Costs(found.seconds, f"from {found.source}", found.bytes)
    elif config.scenario.name == "auto" or not trains:
        costs = Costs(None, "no similar run has finished here", None)
    else:
        costs = _probe(config, index, images, image_size, output)
    _print_costs(config, costs, output)


def _print_stages(config: Config, index: ImageIndex) -> None:
    """Print the layers that train, the epochs and the optimizer of each stage."""
    table = new_table("stage", "trains", "epochs", "steps", "optimizer", "learning rate", left=("trains", "optimizer"))
    for stage in config.freeze.stages:
        rate = f"{stage.optimizer.learning_rate:g}"
        trains = target_text(write_target(stage.train))
        cells = (stage.name, trains, str(stage.epochs), f"{_steps(config, index):,}", stage.optimizer.name)
        table.add_row(*map(escape, cells), rate)
    print_titled(f"Stages of freeze={config.freeze.name} (steps per epoch)", table)


def _steps(config: Config, index: ImageIndex) -> int:
    """Return the number of batches in an epoch."""
    return config.steps_per_epoch or -(-len(index.split("train")) // config.batch_size)


def _probe(config: Config, index: ImageIndex, images: dict[str, int], image_size: int, output: Path) -> Costs:
    """Build the network, time a few steps of each stage, and return the estimated costs of the whole run."""
    from headstart.core.tensorflow_import import import_tensorflow

    began = time.perf_counter()
    console.print("  No similar run has finished here: timing a few training steps")
    import_tensorflow()
    from headstart.model.network import build_network
    from headstart.run.disk_estimate import estimate, expect_room
    from headstart.training.hardware import choose_precision, choose_strategy, prepare_devices, seed_everything
    from headstart.training.timing import choose_timing_samples, time_stages

    strategy = choose_strategy(prepare_devices())
    seed_everything(config.seed, config.deterministic, choose_precision(config.precision))
    classes = len(imagenet_classes() if config.head.output == "imagenet" else index.class_names)
    first, second = (
        check_images(sample, config.dataset.bad_images, cache_directory(), config.dataset.value_range)[0]
        for sample in choose_timing_samples(index, config.batch_size)
    )
    with strategy.scope(), tempfile.TemporaryDirectory() as directory:
        network = build_network(config.backbone, config.head, classes, image_size, config.seed)
        total = sum(images.values())
        room = estimate(network, config.freeze.stages, image_size, total, classes)
        expect_room(room, output, artifacts_directory(store_uri(config.tracking)))
        ready = time.perf_counter() - began  # start-up, which the run needs too
        timings = time_stages(config, network, (first, second), image_size, Path(directory))
    steps = _steps(config, index)
    seconds = sum(timings[stage.name].seconds(stage.epochs, steps, images) for stage in config.freeze.stages)
    frozen = max(timing.frozen for timing in timings.values())
    last = timings[config.freeze.stages[-1].name].validation
    seconds += images["test"] * frozen + (images["validation"] + images["test"]) * last  # final evaluation
    return Costs(
        ready + seconds,
        f"from steps timed in {time.perf_counter() - began:.0f} s; figures and tracking take a few seconds more",
        float(COPIES * room.classifier + room.tables),
    )


def _print_costs(config: Config, costs: Costs, output: Path) -> None:
    """Print the estimated time and disk space, and that nothing was run."""
    if config.scenario.name == "auto":
        console.print("  scenario=auto chooses head, augmentation and stages after it has tried strategies.")
    interrupted = find_interrupted(config) if config.resume is not None else None
    if interrupted is not None:
        text = f"  resume=auto resumes the run in {interrupted}, which takes less time than a whole run."
        console.print(text, markup=False)
    place = nearest_existing(output.absolute().parent)
    free = f"{decimal(shutil.disk_usage(place).free)} are free"
    if costs.seconds is None:
        text = f"No estimate: {costs.source}. On the disk of {place} {free}."
    else:
        written = "" if costs.bytes is None else f", and writes about {decimal(int(costs.bytes))} besides the cache"
        text = (
            f"The run takes about {format_duration(costs.seconds)}{written} (estimated {costs.source}). "
            f"On the disk of {place} {free}."
        )
    console.print(f"\n{text}", markup=False)
    console.print("Nothing was run. To train, run the same command without plan=true.", markup=False)
