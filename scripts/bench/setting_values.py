"""A benchmark of one setting's values: what each costs in time, and what it gives in accuracy, over several seeds."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from functools import partial
from statistics import mean, median, stdev

from bench_reports import Report, measure_in_turn
from headstart.config import override_key, swept_values
from headstart.core.errors import HeadstartError
from timed_run import Finished, accuracy_of_run, run_alone, seconds_of_run


def settings(options: argparse.Namespace) -> Report:
    """Run a command with each value of one setting and each seed, every value with a cache of its own.

    Raises:
        HeadstartError: when `--vary` is not KEY=VALUE,VALUE.
    """
    key, values = override_key(options.vary), swept_values(options.vary)
    if len(values) < 2:
        raise HeadstartError(f"Expected --vary to be KEY=VALUE,VALUE with two values or more. Received: {options.vary}")
    line = shlex.split(options.run)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    found: dict[str, list[Finished]] = {value: [] for value in values}
    for seed in seeds:  # every value in turn, so that what else the machine does falls on all of them alike
        sides: dict[str, Callable[[], Finished]] = {
            value: partial(run_alone, [*line, f"{key}={value}", f"seed={seed}"], options.directory) for value in values
        }
        once = measure_in_turn(sides, repetitions=1)
        for value, [finished] in once.items():
            found[value].append(finished)
    columns = {key: "", "test accuracy": "", "validation accuracy": "", "training": "{:.1f} s", "ratio": "{:.1f}"}
    report = Report(options.name, columns)
    slowest = median(_seconds(found[values[0]]))
    for value, runs in found.items():
        report.rows.append(
            {
                key: value,
                "test accuracy": _spread([accuracy_of_run(one, "test") for one in runs]),
                "validation accuracy": _spread([accuracy_of_run(one, "validation") for one in runs]),
                "training": median(_seconds(runs)),
                "ratio": slowest / median(_seconds(runs)),
            }
        )
    report.measured = {f"training, {key}={value}": _seconds(runs) for value, runs in found.items()}
    report.notes = [
        f"Accuracies are mean and standard deviation over the seeds {options.seeds}, times are medians; every run "
        f"starts with an empty cache; the ratio is to {key}={values[0]}"
    ]
    report.commands = [runs[0].command for runs in found.values()]
    return report


def _seconds(runs: list[Finished]) -> list[float]:
    return [seconds_of_run(one).training or 0.0 for one in runs]


def _spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    return f"{mean(values):.2%}" + (f" ± {100 * stdev(values):.2f}" if len(values) > 1 else "")
