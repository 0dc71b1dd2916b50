"""A benchmark of what a command costs beside its training: its phases, with everything cached."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from bench_reports import Report, measure_in_turn
from headstart.core.errors import HeadstartError
from jpegs import HEIGHT, WIDTH, write_jpegs
from timed_run import ROOT, Finished, run, seconds_of_run, workspace
from whole_commands import AUTO, weights

NOW = "now"
PHASES = ("start_up", "data", "model", "training", "saving", "evaluation", "tracking")
OUTSIDE = "start of Python, and exit"
WHOLE, PROCESSOR = "whole command", "processor time"


def fixed_cost(options: argparse.Namespace) -> Report:
    """Measure each phase of a command whose images and activations are cached, also as an earlier revision ran it."""
    pictures = write_jpegs(options.directory, options.images)
    job = [
        *("dataset=folder", f"dataset.root={pictures}", "freeze=all", f"backbone={options.backbone}"),
        *(f"image_size={options.image_size}", f"epochs={options.epochs}", AUTO, *weights(options.weights)),
    ]
    with ExitStack() as places:
        roots: dict[str, Path] = {NOW: ROOT}
        if options.against:
            roots = {options.against: places.enter_context(worktree(options.against, options.directory)), **roots}
        sides: dict[str, Callable[[], Finished]] = {
            side: partial(run, job, places.enter_context(workspace(options.directory)), pictures, root=root)
            for side, root in roots.items()
        }
        for fill_caches in sides.values():
            fill_caches()
        found = measure_in_turn(sides, options.repetitions)

    columns = dict.fromkeys(roots, "{:.2f} s")
    report = Report("fixed_cost", {"": "", **columns, **({"ratio": "{:.2f}"} if options.against else {})})
    for phase in (*PHASES, OUTSIDE, WHOLE, PROCESSOR):
        figures = {side: [seconds_of_phase(one, phase) for one in runs] for side, runs in found.items()}
        medians = {side: median(seconds) for side, seconds in figures.items()}
        ratio = medians.get(options.against, medians[NOW]) / medians[NOW] if medians[NOW] else 1.0
        report.rows.append({"": phase, **medians, "ratio": ratio})
        report.measured.update({f"{phase}, {side}": seconds for side, seconds in figures.items() if any(seconds)})
    report.notes = [
        f"{options.images} JPEGs of about {WIDTH} x {HEIGHT} pixels, {options.epochs} epochs of a head; an earlier run "
        "has filled the cache and created the tracking store"
    ]
    report.commands = [found[NOW][0].command]
    return report


def seconds_of_phase(finished: Finished, phase: str) -> float:
    """Return how long a phase of a command took; 0 if it had none.

    Args:
        finished: the command.
        phase: one of PHASES, OUTSIDE, WHOLE or PROCESSOR.
    """
    seconds = seconds_of_run(finished)
    if phase == OUTSIDE:
        return finished.seconds - (seconds.total or 0.0)
    if phase == WHOLE:
        return finished.seconds
    if phase == PROCESSOR:
        return finished.processor_seconds
    return getattr(seconds, phase) or 0.0


@contextmanager
def worktree(revision: str, directory: Path) -> Iterator[Path]:
    """Yield a temporary directory with the project as it was at a revision.

    Raises:
        HeadstartError: when git does not know the revision.
    """
    with workspace(directory) as parent:
        place = parent / "project"
        added = subprocess.run(
            ["git", "-C", str(ROOT), "worktree", "add", "--detach", str(place), revision],
            capture_output=True,
            text=True,
            check=False,
        )
        if added.returncode:
            reason = added.stderr.strip().splitlines()[-1:]
            raise HeadstartError(f"Expected --against to be a revision of this clone. Received: {revision} {reason}")
        try:
            yield place
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(place)], check=False)
