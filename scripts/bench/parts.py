"""Benchmarks of single parts inside this process: the input of training, and the backends that run a frozen network."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_reports import Report, comparison_row, measure_in_turn
from headstart.config import Config, compose
from headstart.core.errors import HeadstartError
from headstart.core.tensorflow_import import import_tensorflow
from headstart.data.files.checks import check_images
from headstart.data.index import ImageIndex
from headstart.data.load import load_index
from headstart.model.backbones.registry import get_entry
from headstart.model.backbones.weights import check_weights
from jpegs import HEIGHT, WIDTH, write_jpegs

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from headstart.model.network import Network

FILES, DECODED, HELD = "decoding JPEGs", "decoded before", "one batch in memory"
TRAINED = {"head": "the head, frozen work in every step", "all": "everything"}


def pipeline(options: argparse.Namespace) -> Report:
    """Measure the input alone, and how long training waits for it."""
    pictures = write_jpegs(options.directory, options.images)
    config = configure(options, [f"dataset.root={pictures}", "dataset=folder"])
    import_tensorflow()

    with tempfile.TemporaryDirectory(prefix="run_", dir=options.directory) as work:
        index, _ = check_images(load_index(config.dataset, Path(work)), config.dataset.bad_images, Path(work))
        training = index.split("train")
        inputs = training_inputs(training, options.image_size, config, Path(work))
        steps = max(1, len(training) // config.batch_size)  # full batches, as the one in memory is
        report = Report(
            "pipeline",
            {"": "", FILES: "{:,.0f} images/s", DECODED: "{:,.0f} images/s", "ratio": "{:.1f}", "waiting": ""},
        )
        alone = measure_in_turn(
            {name: partial(input_rate, given, steps) for name, given in inputs.items()}, options.repetitions
        )
        # The ratio says how many times faster the second side is, so that the rates change places.
        report.rows.append(with_rates({"": "input alone", "waiting": ""}, alone))
        report.measured = {f"input alone, {name}": rates for name, rates in alone.items()}
        held = one_batch_for_ever(inputs[FILES])
        for part, said in TRAINED.items():
            train = prepare_training(config, training, part)
            for given in (*inputs.values(), held):
                train(given, 1)  # builds the graph, fills the memory
            rates = measure_in_turn(
                {name: partial(train, given, steps) for name, given in {**inputs, HELD: held}.items()},
                options.repetitions,
            )
            waiting = {name: 1 - median(rates[name]) / median(rates[HELD]) for name in inputs}
            shares = " against ".join(f"{max(0.0, share):.0%}" for share in waiting.values())
            report.rows.append(with_rates({"": f"training {said}", "waiting": shares}, rates))
            report.measured.update({f"training {said}, {name}": values for name, values in rates.items()})
    report.notes = [
        f"{len(training)} training JPEGs of about {WIDTH} x {HEIGHT} pixels become {options.image_size} px; "
        f"{options.backbone}, batches of {config.batch_size}",
        "Waiting is the share of a training epoch that the same steps do without on one batch held in memory; where "
        "training runs on a CPU it includes the cores that decoding takes from it",
    ]
    return report


def configure(options: argparse.Namespace, more: list[str]) -> Config:
    """Return the configuration of the backbone that is measured.

    Raises:
        HeadstartError: for a backbone or weights that are not there.
    """
    given = [f"backbone.weights={options.weights}"] if options.weights else []
    config = compose([f"backbone={options.backbone}", f"image_size={options.image_size}", *given, *more])
    check_weights(get_entry(config.backbone.name), config.backbone.weights)
    return config


def training_inputs(index: ImageIndex, image_size: int, config: Config, directory: Path) -> dict[str, tf.data.Dataset]:
    """Return the same training batches twice: decoded from the files each time, and read from what was decoded once.

    Args:
        index: the training images.
        image_size: side in pixels.
        config: resize and batch size.
        directory: for what is decoded.
    """
    from headstart.cache.store import Cache
    from headstart.data.pipeline import BatchPlan, training_dataset
    from headstart.data.pixel_cache import Pixels

    resize = config.dataset.resize
    weights = np.ones(len(index.class_names), np.float32)

    def dataset(cache: Cache | None) -> tf.data.Dataset:
        given = Pixels(image_size, resize, cache).of(index, "train")
        plan = BatchPlan(config.batch_size, config.seed)
        return training_dataset(index, given, plan, weights, one_sigmoid=False)

    return {FILES: dataset(None), DECODED: dataset(Cache(directory / "tables", config.cache.max_gb * 1e9))}


def input_rate(dataset: tf.data.Dataset, steps: int) -> float:
    """Return how many images a second a dataset gives, from the first batch that was asked for."""
    started = time.perf_counter()
    images = sum(len(batch[0]) for batch in dataset.take(steps))
    return images / (time.perf_counter() - started)


def one_batch_for_ever(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset's first batch, again and again, of the same shapes and so with the same graph."""
    return dataset.take(1).cache().repeat()


def with_rates(what: dict[str, Any], rates: dict[str, list[float]]) -> dict[str, Any]:
    """Return a row of rates, whose ratio is the second side's to the first one's."""
    both = comparison_row(what, FILES, DECODED, rates)
    return {**both, "ratio": 1 / both["ratio"]}


def prepare_training(config: Config, index: ImageIndex, part: str) -> Callable[[tf.data.Dataset, int], float]:
    """Return what trains a part of the backbone's network for some steps and returns the images a second.

    Args:
        config: backbone, head, batch size and optimizer.
        index: the training images; gives the classes.
        part: as a stage's `train`.
    """
    _, model = compile_part(config, len(index.class_names), part)

    def train(dataset: tf.data.Dataset, steps: int) -> float:
        started = time.perf_counter()
        model.fit(dataset, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
        return steps * config.batch_size / (time.perf_counter() - started)

    return train


def compile_part(
    config: Config, classes: int, part: object, from_activations: bool = False
) -> tuple[Network, keras.Model]:
    """Return a network, and the compiled model that trains a part of it.

    Args:
        config: backbone, head, batch size and optimizer.
        classes: number of classes.
        part: as a stage's `train`.
        from_activations: whether the model begins with the activations of its frozen part, where it has one.
    """
    from headstart.config import StageConfig
    from headstart.config.train_targets import parse_target
    from headstart.features.boundary import frozen_boundary
    from headstart.model.freeze import open_for_training
    from headstart.training.compiling import compile_for_training
    from headstart.training.inputs import StageInput

    network = build(config, classes)
    stage = StageConfig("bench", parse_target(part), 1, config.optimizer)
    open_for_training(network, stage.train)
    boundary = frozen_boundary(network, stage.train) if from_activations else None
    model = boundary.suffix if boundary else network.training_model(stage.batch_norm)
    compile_for_training(network, stage, StageInput(model, lambda first_batch: None, None, 1), 0.0)
    return network, model


def build(config: Config, classes: int) -> Network:
    """Return the network of a configuration."""
    import keras

    from headstart.model.network import build_network

    keras.utils.set_random_seed(config.seed)
    size = config.image_size or get_entry(config.backbone.name).image_size
    return build_network(config.backbone, config.head, classes, size, config.seed)


def inference_backend(options: argparse.Namespace) -> Report:
    """Measure how many images a second each inference backend takes through a network.

    Raises:
        HeadstartError: when there is no second backend here.
    """
    try:
        from headstart.inference.backend import forward  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise HeadstartError(f"Expected headstart.inference.backend, which runs networks. Received: {error}") from error
    config = configure(options, [])
    import_tensorflow()
    model = build(config, 2).backbone
    names = {"tensorflow": "TensorFlow", "openvino": "OpenVINO"}
    forwards = {names[name]: forward(model, name) for name in names}
    shape = (options.batch_size, options.image_size, options.image_size, 3)
    images = np.random.default_rng(config.seed).uniform(-1, 1, shape).astype(np.float32)
    outputs = [np.asarray(one(images)) for one in forwards.values()]  # the first call builds the graph
    used = [one.backend for one in forwards.values()]
    if used != list(names):
        raise HeadstartError(f"Expected the backends {', '.join(names)}. Received: {', '.join(used)}")

    def rate(call: Callable[[np.ndarray], Any]) -> float:
        started = time.perf_counter()
        for _ in range(options.batches):
            np.asarray(call(images))
        return options.batches * options.batch_size / (time.perf_counter() - started)

    found = measure_in_turn({name: partial(rate, call) for name, call in forwards.items()}, options.repetitions)
    first, second = found
    columns = {"backbone": "", first: "{:,.1f} images/s", second: "{:,.1f} images/s", "ratio": "{:.2f}"}
    report = Report("inference_backend", columns, measured=found)
    row = comparison_row({"backbone": f"{options.backbone}, {options.image_size} px"}, first, second, found)
    report.rows = [{**row, "ratio": 1 / row["ratio"]}]
    difference = float(np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[0]).max())
    report.notes = [
        f"Forward passes of {options.batches} batches of {options.batch_size}, without their input; the outputs differ "
        f"by up to {difference:.1g} of the largest one"
    ]
    return report
