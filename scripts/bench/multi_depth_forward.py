"""What does reading every depth cost in a forward pass? `python scripts/bench/multi_depth_forward.py --write`.

Times the whole classifier of `head=multi_depth`, preprocessing and head included, against its backbone alone, in turn,
with each inference backend that is installed. The weights of the head are random, which changes no time.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from bench_reports import measure_in_turn
from headstart.config import compose
from headstart.core.console import console
from headstart.core.markdown_page import replace_block, row
from headstart.core.tensorflow_import import import_tensorflow

PAGE = Path(__file__).absolute().parents[2] / "docs" / "strategies.md"
BATCHES = {1: 100, 32: 10}  # forward passes of each repetition, by the images of a batch
CLASSES = 10


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet_lite0", metavar="NAME", help="(efficientnet_lite0)")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS", help="image size (128)")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="of which the median is shown (7)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/strategies.md")
    options = parser.parse_args(arguments)
    lines = [row("backend, images a batch", "backbone", "classifier", "ratio"), row("---", "---:", "---:", "---:")]
    lines += [
        row(f"{backend}, {batch}", *(f"{1000 * seconds:.1f} ms" for seconds in found), f"{found[1] / found[0]:.2f}")
        for backend in backends()
        for batch, found in measure(options, backend).items()
    ]
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    if options.write:
        replace_block(PAGE, "forward", "\n".join(["<!-- forward -->", *lines, "<!-- /forward -->"]))
    return 0


def backends() -> list[str]:
    """Return the inference backends that are installed."""
    return ["tensorflow", *(["openvino"] if importlib.util.find_spec("openvino") else [])]


def measure(options: argparse.Namespace, backend: str) -> dict[int, tuple[float, float]]:
    """Return the seconds of a forward pass of the backbone and of the classifier, by the images of a batch.

    Args:
        options: of the command line.
        backend: among `backends`.
    """
    import_tensorflow()
    from headstart.inference.backend import forward
    from headstart.model.network import build_network

    config = compose(["dataset=folder", f"backbone={options.backbone}", "head=multi_depth", "freeze=all"])
    network = build_network(config.backbone, config.head, CLASSES, options.size, seed=0)
    models = {"backbone": forward(network.backbone, backend), "classifier": forward(network.classifier, backend)}
    found = {}
    for batch, passes in BATCHES.items():
        pixels = np.random.default_rng(0).uniform(0, 255, (batch, options.size, options.size, 3)).astype(np.float32)
        calls: dict[str, Callable[[], float]] = {
            name: partial(seconds_of, model, pixels, passes) for name, model in models.items()
        }
        for call in calls.values():  # the first pass of each builds its graph
            call()
        times = measure_in_turn(calls, options.repetitions)
        found[batch] = median(times["backbone"]), median(times["classifier"])
    return found


def seconds_of(model: Callable[[np.ndarray], object], pixels: np.ndarray, passes: int) -> float:
    """Return the mean seconds of a forward pass.

    Args:
        model: takes pixels.
        pixels: float (batch, size, size, 3).
        passes: how many to time.
    """
    started = time.perf_counter()
    for _ in range(passes):
        np.asarray(model(pixels))
    return (time.perf_counter() - started) / passes


if __name__ == "__main__":
    sys.exit(main())
