"""A benchmark of the disk space that a run takes while it trains and is tracked, against its own estimate."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from bench_reports import Report, measure_in_turn
from headstart.core.errors import HeadstartError
from jpegs import HEIGHT, WIDTH, write_jpegs
from timed_run import Finished, run, workspace

PLACES = {"small_cnn": ("last_block", 32, "none"), "efficientnet_lite0": ("none", 64, "packaged")}
ANOTHER_PLACE = ("none", 64, "none")  # freeze schedule, image size and weights of all others
INTERVAL = 0.005  # seconds between two looks: two checkpoints stand side by side only while one is written


def disk(options: argparse.Namespace) -> Report:
    """Measure the peak disk space of runs: outputs, tracking store and temporary files."""
    pictures = write_jpegs(options.directory, options.images)
    estimated, most = "estimate", "peak use"
    report = Report("disk", {"backbone": "", "": "", estimated: "{:,.1f} MB", most: "{:,.1f} MB", "ratio": "{:.2f}"})
    for backbone in options.backbones.split(","):
        freeze, size, from_where = PLACES.get(backbone, ANOTHER_PLACE)
        size, from_where = options.image_size or size, options.weights or from_where
        line = [
            *("dataset=folder", f"dataset.root={pictures}", f"freeze={freeze}", f"epochs={options.epochs}"),
            *("optimizer=adam", "checkpoint_seconds=0", f"backbone={backbone}", f"backbone.weights={from_where}"),
            f"image_size={size}",
        ]
        named = f"{backbone}, {size} px, weights {from_where}"
        runs = measure_in_turn({named: partial(watch, line, options.directory, pictures)}, options.repetitions)[named]
        peaks = [peak / 1e6 for _, peak in runs]
        report.measured[f"{most}, {named}"] = peaks
        report.commands.append(runs[0][0].command)
        figures = {estimated: bytes_estimated(runs[0][0]) / 1e6, most: max(peaks)}
        what = {"backbone": named, "": f"freeze={freeze}"}
        report.rows.append({**what, **figures, "ratio": figures[estimated] / figures[most]})
    report.notes = [
        f"{options.images} JPEGs of about {WIDTH} x {HEIGHT} pixels, {options.epochs} epochs of each stage. The run, "
        "its tracking store and its temporary files, without the cache, on one disk and in whole blocks of it; sampled "
        f"every {1000 * INTERVAL:.0f} ms, the maximum of {options.repetitions} runs"
    ]
    return report


def bytes_estimated(finished: Finished) -> int:
    """Return the bytes that a run was expected to write.

    Raises:
        HeadstartError: when nothing was run.
    """
    if finished.results.disk is None:
        raise HeadstartError(f"Expected a command that trains. Received: {finished.command}")
    return finished.results.disk.bytes_estimated


def watch(overrides: list[str], directory: Path, pictures: Path) -> tuple[Finished, int]:
    """Run a command on its own, and return with it the most bytes beside its cache at any time."""
    peak = 0
    with workspace(directory) as work, ThreadPoolExecutor(max_workers=1) as thread:
        outputs, temporary = work / "outputs", work / "temporary"
        temporary.mkdir()
        running = thread.submit(run, overrides, work, pictures, temporary)
        while not wait([running], INTERVAL).done:
            peak = max(peak, bytes_below(outputs, temporary))
        return running.result(), peak


def bytes_below(*directories: Path) -> int:
    """Return the disk space of all files below directories; files deleted in the meantime do not count."""
    found: dict[int, int] = {}  # by inode, as a file may be moved from one directory to the next while this looks
    for directory in directories:
        for place, _, names in os.walk(directory):
            for name in names:
                try:
                    status = os.lstat(os.path.join(place, name))
                except FileNotFoundError:
                    continue
                found[status.st_ino] = status.st_blocks * 512  # bytes, whatever the disk's own blocks are
    return sum(found.values())
