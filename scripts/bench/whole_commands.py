"""Benchmarks of whole commands, each in a process, an output directory and a cache of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from bench_reports import NOT_REPORTED, Report, comparison_row, measure_in_turn
from jpegs import HEIGHT, WIDTH, write_jpegs
from timed_run import (
    Finished,
    accuracy_of_run,
    run,
    run_alone,
    scaled,
    seconds_of,
    seconds_of_run,
    stage_epochs,
    workspace,
)

OFF, AUTO = "cache=off", "cache=auto"
PLACES = {"efficientnet_lite0": (224, "packaged")}  # image size and weights; of all others:
ANOTHER_PLACE = (150, "none")


def about_scaling(measured: int, epochs: int) -> list[str]:
    """Return the note about an uncached side that ran fewer epochs."""
    if measured == epochs:
        return []
    return [
        f"{OFF} ran {measured} epochs; the other {epochs - measured} are counted at the median of those after its "
        "first one"
    ]


def frozen(options: argparse.Namespace) -> Report:
    """Measure a whole command that trains a head on a frozen backbone, with its activations cached and without."""
    pictures = write_jpegs(options.directory, options.images)
    common = [
        *("dataset=folder", f"dataset.root={pictures}", "freeze=all", f"backbone={options.backbone}"),
        *(f"image_size={options.image_size}", *weights(options.weights)),
    ]
    backend = [f"inference_backend={options.inference_backend}"] if options.inference_backend else []
    fast = [AUTO, f"epochs={options.epochs}", *backend]
    slow = [*common, OFF, f"epochs={options.uncached_epochs}"]

    def first_and_next() -> list[Finished]:
        with workspace(options.directory) as work:
            return [run([*common, *fast], work, pictures) for _ in range(2)]

    found = measure_in_turn(
        {OFF: lambda: [run_alone(slow, options.directory, pictures)], AUTO: first_and_next}, options.repetitions
    )
    uncached, cached, again = (
        [runs[place] for runs in found[side]] for side, place in ((OFF, 0), (AUTO, 0), (AUTO, 1))
    )

    def figure(measure: Callable[[Finished], float], fast_side: list[Finished]) -> dict[str, list[float]]:
        return {
            side: [scaled(measure(one), stage_epochs(one, "head"), options.epochs) for one in runs]
            for side, runs in ((OFF, uncached), (AUTO, fast_side))
        }

    def training(one: Finished) -> float:
        return seconds_of_run(one).training or 0.0

    figures = {
        "whole command": figure(lambda one: one.seconds, cached),
        "training": figure(training, cached),
        "whole command, the next job": figure(lambda one: one.seconds, again),
        "training, the next job": figure(training, again),
    }
    name = "frozen_openvino" if options.inference_backend == "openvino" else "frozen"
    report = Report(name, {"": "", OFF: "{:.1f} s", AUTO: "{:.1f} s", "ratio": "{:.1f}"})
    report.rows = [comparison_row({"": what}, OFF, AUTO, figure) for what, figure in figures.items()]
    report.rows += frozen_shares({OFF: uncached, AUTO: cached}, options.uncached_epochs, options.epochs)
    report.notes = [
        f"{options.images} JPEGs of about {WIDTH} x {HEIGHT} pixels, {options.epochs} epochs, cost of filling the "
        "cache included; the next job finds it filled",
        *about_scaling(options.uncached_epochs, options.epochs),
    ]
    report.commands = [runs[0][0].command for runs in found.values()]
    report.measured = {f"{what}, {side}": seconds for what, by in figures.items() for side, seconds in by.items()}
    return report


def frozen_shares(sides: dict[str, list[Finished]], same: int, epochs: int) -> list[dict[str, Any]]:
    """Return the rows of `frozen` that are no seconds: the share of waiting, and the accuracies of both sides.

    Args:
        sides: the first runs, uncached and cached.
        same: the last epoch that both sides reached.
        epochs: that the cached side ran.
    """
    waiting = {
        side: median((one.results.data_wait_fraction or {})["head"] for one in runs) for side, runs in sides.items()
    }
    return [
        {
            "": "step time spent waiting for data",
            **{side: f"{share:.1%}" for side, share in waiting.items()},
            "ratio": "",
        },
        accuracies(
            f"validation accuracy after epoch {same}",
            {side: float(runs[0].epochs[same - 1]["validation_accuracy"]) for side, runs in sides.items()},
        ),
        accuracies(
            f"test accuracy after {same} epochs, and after {epochs}",
            {side: accuracy_of_run(runs[0], "test") for side, runs in sides.items()},
        ),
    ]


def weights(given: str | None) -> list[str]:
    """Return the override for a backbone's weights; none for those that are its own."""
    return [f"backbone.weights={given}"] if given else []


def accuracies(what: str, values: dict[str, float]) -> dict[str, Any]:
    """Return a row of accuracies, which have no ratio."""
    return {"": what, **{side: f"{value:.4f}" for side, value in values.items()}, "ratio": ""}


def last_block(options: argparse.Namespace) -> Report:
    """Measure the stage that trains the last block on activations cached below it, and without."""
    pictures = write_jpegs(options.directory, options.images)
    stage = "stage: last_block"
    columns = {"backbone": "", "": "", OFF: "{:.1f} s", AUTO: "{:.1f} s", "ratio": "{:.1f}"}
    report = Report("last_block", columns)
    for backbone in options.backbones.split(","):
        size, from_where = PLACES.get(backbone, ANOTHER_PLACE)
        size, from_where = options.image_size or size, options.weights or from_where
        common = [
            *("dataset=folder", f"dataset.root={pictures}", "freeze=last_block", "freeze.stages.0.epochs=1"),
            *(f"backbone={backbone}", f"backbone.weights={from_where}", f"image_size={size}"),
        ]
        sides = {OFF: options.uncached_epochs, AUTO: options.epochs}
        lines = {side: [*common, side, f"freeze.stages.1.epochs={epochs}"] for side, epochs in sides.items()}
        found = measure_in_turn(
            {side: partial(run_alone, line, options.directory, pictures) for side, line in lines.items()},
            options.repetitions,
        )
        for what in (stage, "whole command"):
            figures = {
                side: [
                    scaled(
                        seconds_of_run(one).stages["last_block"] if what == stage else one.seconds,
                        stage_epochs(one, "last_block"),
                        options.epochs,
                    )
                    for one in runs
                ]
                for side, runs in found.items()
            }
            named = f"{backbone}, {size} px, weights {from_where}"
            report.rows.append(comparison_row({"backbone": named, "": what}, OFF, AUTO, figures))
            report.measured.update({f"{named}, {what}, {side}": seconds for side, seconds in figures.items()})
        report.commands += [runs[0].command for runs in found.values()]
    report.notes = [
        f"{options.images} JPEGs of about {WIDTH} x {HEIGHT} pixels, {options.epochs} epochs of the last block, cost "
        "of computing what is cached included",
        *about_scaling(options.uncached_epochs, options.epochs),
    ]
    return report


def memory(options: argparse.Namespace) -> Report:
    """Measure the peak memory of a run on few images and on many, and the disk that its cache takes."""
    columns = {
        "images": "{:,}",
        "peak memory": "{:,.0f} MB",
        "ratio": "{:.2f}",
        "cache on disk": "{:,.1f} MB",
        "estimate": "{:,.1f} MB",
    }
    report = Report("memory", columns)
    counts = {"few": options.few, "many": options.many}

    def measure(count: int) -> tuple[Finished, float]:
        pictures = write_jpegs(options.directory, count, options.image_size, options.image_size)
        line = [
            *("dataset=folder", f"dataset.root={pictures}", "freeze=all", f"epochs={options.epochs}", AUTO),
            *(f"backbone={options.backbone}", f"image_size={options.image_size}", *weights(options.weights)),
        ]
        with workspace(options.directory) as work:
            finished = run(line, work, pictures)
            return finished, sum(file.stat().st_size for file in (work / "cache").rglob("*") if file.is_file())

    found = measure_in_turn({side: partial(measure, count) for side, count in counts.items()}, options.repetitions)
    peaks = {side: [one.peak_bytes / 1e6 for one, _ in runs] for side, runs in found.items()}
    for side, runs in found.items():
        cache = runs[0][0].results.cache
        estimate = cache.bytes_estimated if cache else None
        report.rows.append(
            {
                "images": counts[side],
                "peak memory": median(peaks[side]),
                "ratio": median(peaks[side]) / median(peaks["few"]),
                "cache on disk": runs[0][1] / 1e6,
                "estimate": NOT_REPORTED if estimate is None else estimate / 1e6,
            }
        )
        report.commands.append(runs[0][0].command)
    report.measured = {f"peak memory, {counts[side]} images": values for side, values in peaks.items()}
    difference = median(peaks["many"]) - median(peaks["few"])
    report.notes = [
        f"{options.many:,} images take {difference:+,.0f} MB against {options.few:,}; JPEGs of about "
        f"{options.image_size} x {options.image_size} pixels"
    ]
    return report


def startup(options: argparse.Namespace) -> Report:
    """Measure the commands that compute nothing, and how soon a job trains whose activations are cached."""
    pictures = write_jpegs(options.directory, options.images)
    job = [
        *("dataset=folder", f"dataset.root={pictures}", "freeze=all", "epochs=1", AUTO),
        *(f"backbone={options.backbone}", f"image_size={options.image_size}", *weights(options.weights)),
    ]
    reference = "import tensorflow"
    first, again = "imports to first step, nothing cached", "imports to first step, cached"
    commands: list[str] = []

    def call(overrides: list[str]) -> float:
        with workspace(options.directory) as work:
            finished = run(overrides, work)
        commands.append(finished.command)
        return finished.seconds

    def job_twice() -> tuple[Finished, Finished]:
        with workspace(options.directory) as work:
            return run(job, work, pictures), run(job, work, pictures)

    without_computing = {"python run.py --help": ["--help"], "python run.py --cfg job": ["--cfg", "job"]}
    figures = measure_in_turn(
        {
            reference: partial(seconds_of, [sys.executable, "-c", reference]),
            **{name: partial(call, overrides) for name, overrides in without_computing.items()},
        },
        options.repetitions,
    )
    jobs = measure_in_turn({"a job twice": job_twice}, options.repetitions)["a job twice"]
    for name, runs in ((first, [one for one, _ in jobs]), (again, [one for _, one in jobs])):
        figures[name] = [seconds for seconds in map(until_first_step, runs) if seconds is not None]
        commands.append(runs[0].command)

    columns = {"": "", "median": "{:.2f} s", "fastest": "{:.2f} s", "against": "", "median of it": "{:.2f} s"}
    report = Report("startup", {**columns, "ratio": "{:.1f}"})
    for name, against in {**dict.fromkeys(without_computing, reference), again: first}.items():
        cells: list[Any] = [NOT_REPORTED, NOT_REPORTED, against, NOT_REPORTED, ""]
        if figures[name] and figures[against]:
            mine, other = median(figures[name]), median(figures[against])
            cells = [mine, min(figures[name]), against, other, other / mine]
        report.rows.append(dict(zip(report.columns, [name, *cells], strict=True)))
    report.notes = [
        f"The last row is of one job, run twice: {options.images} JPEGs, from the end of the imports to the end of the "
        "first training step, which includes building its graph"
    ]
    report.commands = list(dict.fromkeys(commands))
    report.measured = figures
    return report


def until_first_step(finished: Finished) -> float | None:
    """Return the seconds from the end of the imports to the end of the first training step, if the run has them."""
    seconds = seconds_of_run(finished)
    if seconds.first_step is None:
        return None
    return seconds.first_step - (seconds.start_up or 0.0) - (seconds.data or 0.0)
