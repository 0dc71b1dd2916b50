"""How long does a multi-depth head take to solve, and in how much memory? `python scripts/bench/multi_depth_head.py`.

Writes random features of generated images to a file that is mapped into memory, as the activation cache does, and
solves the head of each size in a process of its own. Memory is what the process needed beyond its imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from headstart.core.console import console
from headstart.core.markdown_page import row
from headstart.training.ridge_head import fit_ridge_head

DEPTHS = [32, 32, 16, 96, 96, 24, 24, 144, 144, 40, 40, 240, 240, 80, 80, 80, 480, 480, 112, 112, 112]
DEPTHS += [672, 672, 192, 192, 192, 192, 1152, 1152, 320, 1280]  # of EfficientNet-Lite0, 8,720 in all
CLASSES = 10
BLOCK = 256  # images


class MappedRows:
    """Features in a file."""

    def __init__(self, file: Path) -> None:
        """Map a NumPy file into memory."""
        self.values = np.load(file, mmap_mode="r")
        self.shape, self.dtype = self.values.shape[1:], self.values.dtype

    def batches(self, order: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the rows at some positions."""
        for positions in order:
            yield np.array(self.values[positions])


def main(arguments: list[str] | None = None) -> int:
    """Measure each size, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", type=int, default=[2_000, 20_000], help="training images (2000 20000)")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.file:
        console.print(json.dumps(solve(options.file)), soft_wrap=True)
        return 0
    console.print(row("training images", "features on disk", "seconds", "memory"))
    console.print(row("---:", "---:", "---:", "---:"))
    for images in options.images:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "features.npy"
            write_features(file, images)
            command = [sys.executable, __file__, "--file", str(file)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size = f"{file.stat().st_size / 1e6:,.0f} MB"
        console.print(row(f"{images:,}", size, f"{found['seconds']:.1f}", f"{found['megabytes']:,.0f} MB"))
    return 0


def write_features(file: Path, images: int) -> None:
    """Write the random features of a number of images, whose classes are hard to tell from the noise."""
    generator = np.random.default_rng(0)
    width = sum(DEPTHS)
    values = np.lib.format.open_memmap(file, "w+", np.float32, (images, width))
    centers = generator.normal(0, 0.05, (CLASSES, width))
    for start in range(0, images, BLOCK):
        labels = np.arange(start, min(start + BLOCK, images)) % CLASSES
        values[start : start + len(labels)] = centers[labels] + generator.normal(0, 1, (len(labels), width))
    values.flush()


def solve(file: Path) -> dict[str, float]:
    """Return how long the head took to solve, and by how many megabytes the process grew."""
    rows = MappedRows(file)
    bounds = np.cumsum([0, *DEPTHS])
    depths = [slice(int(start), int(end)) for start, end in pairwise(bounds)]
    labels = np.arange(len(rows.values)) % CLASSES
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fit_ridge_head(rows, depths, labels, np.ones(CLASSES), seed=0)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


if __name__ == "__main__":
    sys.exit(main())
