"""Benchmark of a training step: the gradients of convolutions as headstart computes them, against TensorFlow's own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from bench_reports import Report, comparison_row, measure_in_turn
from headstart.core.tensorflow_import import import_tensorflow
from parts import compile_part, configure

SIZE = 128  # pixels, where no image size is given
OWN, FASTER = "TensorFlow's gradients", "headstart's"
TRAINED = {"the last two blocks": {"last_blocks": 2}, "everything": "all"}


def gradients(options: argparse.Namespace) -> Report:
    """Measure a step of fine-tuning with both kinds of gradients, for each backbone."""
    report = Report(
        "gradients", {"backbone": "", "trains": "", OWN: "{:,.0f} ms", FASTER: "{:,.0f} ms", "ratio": "{:.2f}"}
    )
    import_tensorflow()
    for name in options.backbones.split(","):
        for said, target in TRAINED.items():
            steps = {side: prepare_steps(options, name, target, side) for side in (OWN, FASTER)}
            for step in steps.values():
                step(1)  # the first steps after another network was built take longer
            found = measure_in_turn(
                {side: partial(step, options.steps) for side, step in steps.items()}, options.repetitions
            )
            what = {"backbone": f"{name}, {options.image_size or SIZE} px", "trains": said}
            report.rows.append(comparison_row(what, OWN, FASTER, found))
            report.measured.update({f"{name}, {said}, {side}": values for side, values in found.items()})
    report.notes = [
        f"Milliseconds of a training step on a batch of 32 images, without reading them; {options.steps} steps in each "
        f"of {options.repetitions} repetitions, random weights"
    ]
    return report


def prepare_steps(options: argparse.Namespace, backbone: str, target: object, side: str) -> Callable[[int], float]:
    """Return what trains for some steps on one batch and returns the milliseconds a step.

    Args:
        options: of the command line.
        backbone: its name.
        target: as a stage's `train`.
        side: which gradients.
    """
    import tensorflow as tf

    from headstart.data.pipeline import with_fixed_threads
    from headstart.training.convolution_gradients import has_faster_gradient

    given = argparse.Namespace(backbone=backbone, image_size=options.image_size or SIZE, weights="none")
    config = configure(given, [])
    network, model = compile_part(config, 10, target, from_activations=True)
    if side == OWN:
        for layer in (layer for block in network.blocks for layer in block.layers):
            if has_faster_gradient(layer):
                del layer.convolution_op  # back to the method of its class
    random = np.random.default_rng(config.seed)
    inputs = random.uniform(0, 1, (32, *model.input_shape[1:])).astype(np.float32)
    targets = np.eye(10, dtype=np.float32)[random.integers(0, 10, 32)]
    batches = with_fixed_threads(tf.data.Dataset.from_tensors((inputs, targets)).repeat())
    model.fit(batches, epochs=1, steps_per_epoch=1, verbose=0)  # builds the graph

    def steps(count: int) -> float:
        started = time.perf_counter()
        model.fit(batches, epochs=1, steps_per_epoch=count, shuffle=False, verbose=0)
        return 1000 * (time.perf_counter() - started) / count

    return steps
