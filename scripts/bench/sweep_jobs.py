"""A benchmark of what a job costs in a sweep: forked from a process that has imported, or a new interpreter each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

from bench_reports import Report, measure_in_turn
from timed_run import Finished, run, workspace
from whole_commands import weights

JOB = ["freeze=all", "epochs=3"]  # of the embedded digits, on a backbone that is computed once
SWEEP, SINGLE = "one command with -m", "a command for each job"


def jobs(options: argparse.Namespace) -> Report:
    """Run the same small jobs as one sweep and as single commands, both with a cache that is filled before."""
    job = [*JOB, *weights(options.weights)]
    seeds = [f"seed={seed}" for seed in range(options.jobs)]
    listed = ",".join(str(seed) for seed in range(options.jobs))

    def sweep() -> list[Finished]:
        with workspace(options.directory) as work:
            run([*job, f"seed={options.jobs}"], work)
            return [run(["-m", *job, f"seed={listed}"], work)]

    def single() -> list[Finished]:
        with workspace(options.directory) as work:
            run([*job, f"seed={options.jobs}"], work)
            return [run([*job, seed], work) for seed in seeds]

    sides: dict[str, Callable[[], list[Finished]]] = {SINGLE: single, SWEEP: sweep}
    found = measure_in_turn(sides, options.repetitions)
    seconds = {name: [sum(one.seconds for one in runs) / options.jobs for runs in found[name]] for name in sides}
    commands = [found[SINGLE][0][0].command, found[SWEEP][0][0].command]
    report = Report("jobs", {"": "", "a job": "{:.1f} s", "fastest": "{:.1f} s", "ratio": "{:.1f}"})
    for name in sides:
        ratio = median(seconds[SINGLE]) / median(seconds[name])
        report.rows.append({"": name, "a job": median(seconds[name]), "fastest": min(seconds[name]), "ratio": ratio})
    report.notes = [
        f"Whole processes, divided by their {options.jobs} jobs; activations and images were in the cache before. A "
        "job of a sweep writes, tracks and draws the same as a single run; the sweep compares its jobs at the end"
    ]
    report.commands = commands
    report.measured = seconds
    return report
