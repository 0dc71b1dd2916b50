"""Writes directories of finished runs without training, for strategies of known accuracy."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from headstart.comparison import Run, read_run
from headstart.config import Config, compose, to_yaml
from headstart.evaluation.metrics import evaluate
from headstart.evaluation.results import split_results
from headstart.results.figures import EpochFigures, SplitResults
from headstart.results.file import write_results
from headstart.results.sections import Dataset, Parameters, Seconds
from headstart.results.types import RunResults

CLASSES = tuple(str(number) for number in range(10))


@cache
def composed(*overrides: str) -> Config:
    """Compose a configuration once."""
    return compose(overrides)


def configured(*overrides: str, **values: Any) -> Config:
    """Return a configuration with some values set that no group decides; much faster than composing each."""
    groups = {text.partition("=")[0]: text for text in overrides}
    simple = {
        key: getattr(composed(text), key) for key, text in groups.items() if key in ("freeze", "head", "backbone")
    }
    rest = [text for key, text in groups.items() if key not in simple]
    return dataclasses.replace(composed(*rest), **simple, **values)


def write_run(
    directory: Path,
    config: Config,
    accuracy: float = 0.9,
    images: int = 200,
    classes: tuple[str, ...] = CLASSES,
    seconds: float = 20.0,
    epochs: int = 5,
    root: Path | None = None,
    data: int = 0,
    saved: bool = False,
    **results: Any,
) -> Run:
    """Write a finished run's directory and read it back.

    Args:
        directory: where to.
        config: the resolved configuration.
        accuracy: about what the run gets on validation and test images.
        images: in each of the two splits.
        classes: their names.
        seconds: of the whole run.
        epochs: in its history.
        root: of the images.
        data: another number makes other images of the same names.
        saved: whether there are a log and a directory for the classifier, as of a run on this machine.
        results: fields of the results beside those, or instead.
    """
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(to_yaml(config))
    difficulty = np.random.default_rng(data).uniform(size=images)  # of each image, for all runs alike
    # By what the tests vary, so that a new key of the configuration changes no outcome.
    names = [config.backbone.name, config.backbone.weights, config.head.name, config.freeze.name, config.batch_size]
    varied = repr([*names, config.seed, config.cv.fold])
    generator = np.random.default_rng([data, *hashlib.sha256(varied.encode()).digest()])
    labels = np.arange(images) % len(classes)
    paths = [f"{classes[label]}/{number:04}.png".replace("<", "(") for number, label in enumerate(labels)]
    splits: dict[str, SplitResults] = {}
    predictions: list[list[Any]] = []
    for split in ("validation", "test"):
        own = generator.uniform(size=images)
        right = np.where(generator.uniform(size=images) < 0.15, own, difficulty) < accuracy + generator.normal(0, 0.004)
        predicted = np.where(right, labels, (labels + generator.integers(1, len(classes), images)) % len(classes))
        probabilities = generator.uniform(0.01, 0.02, (images, len(classes)))
        probabilities[np.arange(images), predicted] = generator.uniform(0.5, 1, images)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        found = evaluate(labels, probabilities, classes)
        splits[split] = split_results(found)
        for path, label, row in zip(paths, labels, probabilities, strict=True):
            best = int(row.argmax())
            names = classes[label], classes[best]
            predictions.append(
                [f"{split}/{path}", split, *names, int(label == best), row[best], *(f"{value:.5g}" for value in row)]
            )
    _table(
        directory / "predictions.csv",
        ["path", "split", "label", "predicted", "correct", "confidence", *(f"probability_{name}" for name in classes)],
        predictions,
    )
    rows = [[row[0], row[2], row[1], f"{data}-{number}"] for number, row in enumerate(predictions)]
    _table(directory / "splits.csv", ["path", "label", "split", "digest"], rows)
    curve = splits["validation"].accuracy * (1 - 0.7 ** np.arange(1, epochs + 1))
    history = [[epoch, "head", 0.5, 0.5, 0.5, value, 1e-3, 1.0] for epoch, value in enumerate(curve, 1)]
    columns = ["epoch", "stage", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
    _table(directory / "history.csv", [*columns, "learning_rate", "seconds"], history)
    if saved:
        (directory / "classifier").mkdir()
        (directory / "run.log").touch()
    counts = {"train": images, "validation": images, "test": images}
    described = Dataset(
        name=config.dataset.name,
        root=str(root) if root else None,
        fingerprint="0" * 64,
        images=counts,
        classes=len(classes),
        image_size=48,
    )
    trainable = 12_810 if config.freeze.name == "all" else 2_100_000
    values: dict[str, Any] = {
        "run_id": hashlib.sha256(str(directory).encode()).hexdigest()[:32],
        "seed": config.seed,
        "seconds": Seconds(total=seconds),
        "dataset": described,
        "best_epoch": EpochFigures(epochs, "head", 0.5, 0.5, 0.5, float(curve[-1]), 1e-3, 1.0),
        "parameters": Parameters(total=3_425_834, trainable=trainable),
        "model_bytes": 14_300_000,
        "splits": splits,
    }
    write_results(directory, RunResults(status="FINISHED", **{**values, **results}))
    return read_run(directory)


def write_failed(directory: Path, config: Config, error: str, status: str = "FAILED", **results: Any) -> Run:
    """Write the directory of a run that did not finish, and read it back."""
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(to_yaml(config))
    write_results(directory, RunResults(**{"run_id": None, "status": status, "error": error, **results}))
    return read_run(directory)


def write_sweep(directory: Path, seeds: int = 1, **arguments: Any) -> list[Run]:
    """Write a sweep of 60 strategies and a failed run, and read it back.

    Args:
        directory: where to.
        seeds: of each strategy.
        arguments: of `write_run`.
    """
    freezes = {"all": 0.86, "last_block": 0.92, "last_two_blocks": 0.955, "none": 0.95}
    heads = {"linear": 0.0, "dense512": 0.005, "svm": -0.02}
    sizes = {8: -0.05, 16: -0.01, 32: 0.0, 64: -0.02, 128: -0.15}
    runs: list[Run] = []
    for freeze, accuracy in freezes.items():
        for head, gain in heads.items():
            for size, loss in sizes.items():
                for seed in range(seeds):
                    config = configured(f"freeze={freeze}", f"head={head}", batch_size=size, seed=seed)
                    seconds = 12 + 40 * list(freezes).index(freeze) + 200 / size
                    runs.append(
                        write_run(
                            directory / str(len(runs)), config, accuracy + gain + loss, seconds=seconds, **arguments
                        )
                    )
    error = "HeadstartError: Expected freeze.stages.1.train to name a block. Received: <b>mixed99</b>\nTraceback: more"
    overrides = ("freeze=gradual", "head=linear")
    runs.append(write_failed(directory / str(len(runs)), configured(*overrides), error, overrides=overrides))
    return runs


def _table(file: Path, columns: list[str], rows: list[list[Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(columns)
        writer.writerows(rows)
