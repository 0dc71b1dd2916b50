"""Evaluates a classifier on each split, and writes predictions, figures and the classification report."""

from __future__ import annotations

import csv
import dataclasses
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.console import console
from headstart.core.files import file_name, open_csv, write_text
from headstart.core.log import log_event
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex
from headstart.evaluation.gradcam import GradCam
from headstart.evaluation.metrics import ClassResult, Evaluation, evaluate, worst_mistakes
from headstart.evaluation.plots import calibration_figure, confusion_figure, explained_figure, mistakes_figure
from headstart.evaluation.predictor import Predictor
from headstart.evaluation.writing import begin_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headstart.classifier.saved import Classifier

LOG = logging.getLogger(__name__)
EVALUATED = ("validation", "test")
EXPLAINED = 8  # mistakes with Grad-CAM heat maps


def report_splits(predictor: Predictor, index: ImageIndex, directory: Path) -> dict[str, Evaluation]:
    """Evaluate a classifier on the validation and test splits.

    Writes predictions.csv (a row for each image: path, split, true and predicted label, confidence, the probability of
    every class), and a report and figures for each split, which are there after `finish_figures`.

    Args:
        predictor: of the saved classifier.
        index: the images; splits without images are left out.
        directory: of the run.
    """
    classifier = predictor.classifier
    (directory / "figures").mkdir(exist_ok=True)
    evaluations = {}
    grad_cam = GradCam(classifier.model)
    with open_csv(directory / "predictions.csv") as file:
        writer = csv.writer(file)
        scores = [f"probability_{name}" for name in index.class_names]
        writer.writerow(["path", "split", "label", "predicted", "correct", "confidence", *scores])
        for split in EVALUATED:
            part = index.split(split)
            if not len(part):
                continue
            probabilities = predictor.probabilities(part, split)
            writer.writerows(_prediction_rows(part, probabilities, split))
            evaluation = evaluate(part.labels, probabilities, part.class_names)
            _write_report(evaluation, directory / f"{split}_report")
            figures = split_figures(part, probabilities, evaluation, split)
            figures |= mistake_figures(classifier, grad_cam, part, probabilities, split)
            for name, draw in figures.items():
                begin_figure(draw, directory / "figures" / f"{name}.png")
            evaluations[split] = evaluation
            log_event(LOG, "split evaluated", split=split, images=len(part), accuracy=evaluation.accuracy)
    return evaluations


def report_stage(predictor: Predictor, index: ImageIndex, stage: str, directory: Path) -> dict[str, Evaluation]:
    """Evaluate the classifier after a stage, and write the classification report of each split.

    Args:
        predictor: of the classifier with the best weights so far.
        index: the images; splits without images are left out.
        stage: its name, with which the file names end.
        directory: of the run.
    """
    evaluations = {}
    for split in EVALUATED:
        part = index.split(split)
        if len(part):
            probabilities = predictor.probabilities(part, f"{split} after {stage}")
            evaluations[split] = evaluate(part.labels, probabilities, part.class_names)
            _write_report(evaluations[split], directory / f"{split}_report_after_{file_name(stage)}")
    return evaluations


def split_figures(
    index: ImageIndex, probabilities: np.ndarray, evaluation: Evaluation, split: str
) -> dict[str, Callable[[], Figure]]:
    """Return what draws the figures of one split, by name.

    Args:
        index: the images of the split.
        probabilities: float (n, classes).
        evaluation: the split's metrics.
        split: its name.
    """
    names = list(index.class_names)
    share = f"accuracy {evaluation.accuracy:.1%} of {evaluation.images:,} images"
    return {
        f"{split}_confusion": partial(confusion_figure, evaluation.confusion, names, False, f"{split}: {share}"),
        f"{split}_confusion_normalized": partial(
            confusion_figure, evaluation.confusion, names, True, f"{split}: share of each true class, {share}"
        ),
        f"{split}_calibration": partial(
            calibration_figure, index.labels, probabilities, f"{split}: confidence against accuracy"
        ),
    }


def mistake_figures(
    classifier: Classifier, grad_cam: GradCam, index: ImageIndex, probabilities: np.ndarray, split: str
) -> dict[str, Callable[[], Figure]]:
    """Return what draws the figures of a split's most confident mistakes, by name.

    Args:
        classifier: the saved one.
        grad_cam: of the classifier.
        index: the images of the split.
        probabilities: float (n, classes).
        split: its name.
    """
    names = index.class_names
    worst = worst_mistakes(index.labels, probabilities)
    images = [
        load_image(index.file(int(i)), classifier.image_size, classifier.resize, index.limits, index.value_range)
        for i in worst
    ]
    pairs = [(int(index.labels[i]), int(probabilities[i].argmax())) for i in worst]
    captions = [
        (names[true], names[predicted], float(probabilities[i, predicted]), float(probabilities[i, true]))
        for i, (true, predicted) in zip(worst, pairs, strict=True)
    ]
    explained = images[:EXPLAINED]
    heat_maps: list[np.ndarray] = []
    if explained:
        with console.status(f"explaining the most confident mistakes: {split}"):
            classes = np.array([(predicted, true) for true, predicted in pairs[:EXPLAINED]])
            maps = grad_cam.heat_maps(np.repeat(np.stack(explained), 2, axis=0), classes.reshape(-1))
            heat_maps = list(maps.reshape(len(explained), 2, *maps.shape[1:]))
    return {
        f"{split}_mistakes": partial(
            mistakes_figure, images, [caption[:3] for caption in captions], f"{split}: the most confident mistakes"
        ),
        f"{split}_mistakes_explained": partial(
            explained_figure,
            explained,
            heat_maps,
            captions[:EXPLAINED],
            f"{split}: regions that support the classes in the most confident mistakes ({grad_cam.description})",
        ),
    }


def _write_report(evaluation: Evaluation, file: Path) -> None:
    """Write a split's classification report as text and as CSV."""
    write_text(file.with_name(f"{file.name}.txt"), evaluation.report())
    with open_csv(file.with_name(f"{file.name}.csv")) as table:
        writer = csv.DictWriter(table, [field.name for field in dataclasses.fields(ClassResult)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(result) for result in evaluation.per_class)


def _prediction_rows(index: ImageIndex, probabilities: np.ndarray, split: str) -> Iterator[list]:
    for image, label, row in zip(index.paths, index.labels, probabilities, strict=True):
        best = int(row.argmax())
        names = index.class_names[label], index.class_names[best]
        yield [image, split, *names, int(label == best), f"{row[best]:.7g}", *(f"{value:.7g}" for value in row)]
